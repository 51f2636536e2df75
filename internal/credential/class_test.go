package credential

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestClasses: a finder finds nothing in a text without a byte of its class, and the classes of a short text leave out no
// credential.
func TestClasses(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	parts := []string{
		"m2m_", "M2M", "_", "eyJhbGciOiJub25lIn0", "eyJ", ".", "..", "bearer", "Basic", "dpop ", " ", "+", "\t", `"d"`, `"k":"`, `"`, ":", "://", "https://u:p@h",
		"-----BEGIN PRIVATE KEY-----", "-----", "token", "secret", "=", "@", "%", "%20", "%2e", "%3d", "%5f", "?", "&", "abcdefgh12345678", "\xff", "é",
		strings.Repeat("a1", 20),
	}
	for range 100_000 {
		var b strings.Builder
		for range 1 + r.IntN(6) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		text := b.String()
		var all class
		for i := range len(text) {
			all |= classes[text[i]]
		}
		if got := classesOf(text); got&all != all {
			t.Fatalf("seed %d: %q has the classes %b, got %b", seed, text, all, got)
		}
		for i, f := range inURIs {
			if found := f.find(text, nil); all&f.class == 0 && len(found) > 0 {
				t.Fatalf("seed %d: finder %d finds %v in %q, which has no byte of its class", seed, i, found, text)
			}
		}
		if !strings.ContainsAny(text, "=@") && len(findURLs(text, nil)) > 0 {
			t.Fatalf("seed %d: credentials in a URL without = and @: %q", seed, text)
		}
		if !slices.Equal(findPlain(text, all, inURIs), findPlain(text, allClasses, inURIs)) {
			t.Fatalf("seed %d: %q", seed, text)
		}
	}
}

func BenchmarkContains(b *testing.B) {
	for name, text := range map[string]string{"name": "identifiers", "scope": "book:*:read", "prose": "Nightly import of books, without a token", "url": "https://auth.example.com"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if Contains(text) {
					b.Fatal(text)
				}
			}
		})
	}
}
