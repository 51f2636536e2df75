package scope

import (
	"math/rand/v2"
	"testing"
)

// TestNearestCovers: the nearest grant covers a scope whenever some allow grant does, and what it is said
// to cover it covers.
func TestNearestCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	some := func() Scope {
		return Scope{Resource: pick("*", "book", "film"), Identifier: pick("*", "a", "ab", "a*", "ab*", "b"), Action: pick("*", "read", "edit")}
	}
	covered := 0
	for range 5000 {
		var grants []Grant
		for range r.IntN(4) {
			g := Grant{Resource: pick("*", "book", "film"), Deny: r.IntN(4) == 0}
			for range r.IntN(3) {
				g.Identifiers, g.Actions = append(g.Identifiers, some().Identifier), append(g.Actions, some().Action)
			}
			grants = append(grants, g)
		}
		s, isCovered, any := some(), false, false
		for _, g := range grants {
			isCovered = isCovered || !g.Deny && g.Covers(s)
			any = any || !g.Deny && len(g.Identifiers) > 0
		}
		nearest, ok := Nearest(grants, s)
		if ok != any || nearest.Covers() != isCovered || ok && nearest.Grant.Covers(s) != isCovered {
			t.Fatalf("%+v: of %+v the nearest is %+v, %v", s, grants, nearest, ok)
		}
		if isCovered {
			covered++
		}
	}
	if covered < 500 {
		t.Errorf("only %d were covered", covered)
	}
}
