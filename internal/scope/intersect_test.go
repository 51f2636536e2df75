package scope_test

import (
	"math/rand/v2"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// TestIntersect: a scope is covered by both just if it is covered by what they have in common.
func TestIntersect(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	random := func() scope.Scope {
		return scope.Scope{
			Resource: pick("*", "book", "film"), Identifier: pick("*", "a*", "ab*", "a", "ab", "abc", "b"), Action: pick("*", "read", "edit"),
		}
	}
	met := 0
	for range 50_000 {
		a, b, c := random(), random(), random()
		both, ok := a.Intersect(b)
		if ok != a.Overlaps(b) {
			t.Fatalf("%s and %s: %v", a, b, ok)
		}
		if want := a.Covers(c) && b.Covers(c); (ok && both.Covers(c)) != want {
			t.Fatalf("%s and %s have %s in common, %v; both cover %s: %v", a, b, both, ok, c, want)
		}
		if ok {
			met++
		}
	}
	if met < 1000 {
		t.Errorf("only %d met", met)
	}
}

func TestIntersectRaw(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"book:read", "book:1:read", "book:1:read"},
		{"book", "*:read", "book:*:read"}, // of both
		{"book:a*:*", "*:abc:read", "book:abc:read"},
		{"book:read", "book:*:read", "book:*:read"},
		{"book:read", "film:read", ""},
		{"book:1:read", "book:2:read", ""},
	} {
		both, _ := mustParse(t, c.a).Intersect(mustParse(t, c.b))
		if both.Raw != c.want {
			t.Errorf("%s and %s: %q, want %q", c.a, c.b, both.Raw, c.want)
		}
		if c.want != "" && both != mustParse(t, both.Raw) {
			t.Errorf("%s and %s: %+v is not what it parses to", c.a, c.b, both)
		}
	}
}
