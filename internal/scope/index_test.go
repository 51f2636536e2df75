package scope_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// TestIndexAgrees holds the index against the plain definition. The texts are few and short, so that they often meet, and
// have characters on both sides of "*".
func TestIndexAgrees(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	identifier := func() string {
		text := ""
		for range r.IntN(4) {
			text += pick("a", "b", "!", ":", "~")
		}
		if text == "" || r.IntN(3) == 0 {
			text += "*"
		}
		return text
	}
	granted, denied := 0, 0
	for range 20_000 {
		var grants []scope.Grant
		for range r.IntN(6) {
			g := scope.Grant{Resource: pick("*", "book", "film", "map"), Deny: r.IntN(3) == 0}
			for range r.IntN(5) {
				g.Identifiers = append(g.Identifiers, identifier())
			}
			for range r.IntN(4) {
				g.Actions = append(g.Actions, pick("*", "edit", "read", "burn"))
			}
			grants = append(grants, g)
		}
		s := scope.Scope{Resource: pick("*", "book", "film"), Identifier: identifier(), Action: pick("*", "read", "edit")}
		index := scope.NewIndex(grants)
		covers := slices.ContainsFunc(grants, func(g scope.Grant) bool { return !g.Deny && g.Covers(s) })
		denies := slices.ContainsFunc(grants, func(g scope.Grant) bool { return g.Deny && g.Overlaps(s) })
		if index.Covers(s) != covers || index.Denies(s) != denies {
			t.Fatalf("%s: %v, %v, want %v, %v of %+v", s, index.Covers(s), index.Denies(s), covers, denies, grants)
		}
		if covers {
			granted++
		}
		if denies {
			denied++
		}
	}
	if granted < 1000 || denied < 1000 {
		t.Errorf("%d were covered and %d denied", granted, denied)
	}
}
