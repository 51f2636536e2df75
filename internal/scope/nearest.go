package scope

import "strings"

// Likeness says which parts of a scope a grant covers. A grant that covers all parts covers the scope.
type Likeness struct {
	// Grant is the scope of the grant that covers most.
	Grant Scope
	// Resource, Identifier and Action say which parts it covers.
	Resource, Identifier, Action bool
	// shared is the length of the common prefix of the identifiers.
	shared int
}

// Covers reports whether all parts are covered.
func (l Likeness) Covers() bool { return l.Resource && l.Identifier && l.Action }

// Nearest returns the scope of an allow grant that covers b or, if there is none, the one that covers most of it. The resource
// counts most, more so by name, and the identifier counts a little more than the action. Of equal ones the first counts. It
// is not ok if there is no allow grant.
func Nearest(grants []Grant, b Scope) (nearest Likeness, ok bool) {
	for _, g := range grants {
		if g.Deny || len(g.Identifiers) == 0 || len(g.Actions) == 0 {
			continue
		}
		if l := g.likeness(b); !ok || l.isNearerThan(nearest) {
			nearest, ok = l, true
		}
	}
	return nearest, ok
}

// likeness combines the best identifier and the best action, because a grant has every pair of them.
func (g Grant) likeness(b Scope) Likeness {
	l := Likeness{Resource: coversName(g.Resource, b.Resource), shared: -1}
	l.Grant.Resource = g.Resource
	for _, id := range g.Identifiers {
		covers, shared := coversIdentifier(id, b.Identifier), sharedPrefix(id, b.Identifier)
		if covers && !l.Identifier || covers == l.Identifier && shared > l.shared {
			l.Grant.Identifier, l.Identifier, l.shared = id, covers, shared
		}
	}
	l.Grant.Action = g.Actions[0]
	for _, action := range g.Actions {
		if coversName(action, b.Action) {
			l.Grant.Action, l.Action = action, true
			break
		}
	}
	l.Grant.Raw = l.Grant.String()
	return l
}

func (l Likeness) isNearerThan(other Likeness) bool {
	if mine, theirs := l.rank(), other.rank(); mine != theirs {
		return mine > theirs
	}
	return l.shared > other.shared
}

func (l Likeness) rank() int {
	rank := 0
	for part, covered := range map[int]bool{16: l.Resource, 5: l.Identifier, 4: l.Action, 2: l.Resource && l.Grant.Resource != Any} {
		if covered {
			rank += part
		}
	}
	return rank
}

func sharedPrefix(a, b string) int {
	a, b = strings.TrimSuffix(a, Any), strings.TrimSuffix(b, Any)
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
