package store_test

import "testing"

// BenchmarkClientsFor looks up an identity that is in memory.
func BenchmarkClientsFor(b *testing.B) {
	s := newStore(newMemory())
	_ = identify(s, "books", identity("repo:example/books:main"))
	for n, p := range []string{"repo:example/a:*", "repo:example/b:*", "repo:example/*:prod"} {
		_ = identify(s, string(rune('a'+n)), identity(p))
	}
	b.ReportAllocs()
	for b.Loop() {
		if c, err := s.ClientsFor(ctx, github, "repo:example/books:main"); err != nil || len(c) != 1 {
			b.Fatal(c, err)
		}
	}
}
