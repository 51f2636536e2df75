package scope

import (
	"slices"
	"strings"
)

// Index finds what a client's grants say of a scope, without comparing it with every grant. It does not change.
type Index struct {
	allow, deny indexedGrants
}

// NewIndex returns the index of grants, which must not change.
func NewIndex(grants []Grant) *Index {
	index := new(Index)
	for _, g := range grants {
		if g.Deny {
			index.deny.add(g)
		} else {
			index.allow.add(g)
		}
	}
	return index
}

// Covers reports whether a grant that allows covers s.
func (x *Index) Covers(s Scope) bool {
	return x.allow.any(s.Resource, func(g *indexedGrant) bool { return g.covers(s) }) ||
		s.Resource != Any && x.allow.any(Any, func(g *indexedGrant) bool { return g.covers(s) })
}

// Denies reports whether a grant that denies overlaps s.
func (x *Index) Denies(s Scope) bool {
	overlaps := func(g *indexedGrant) bool { return g.overlaps(s) }
	if s.Resource != Any {
		return x.deny.any(s.Resource, overlaps) || x.deny.any(Any, overlaps)
	}
	for resource := range x.deny {
		if x.deny.any(resource, overlaps) {
			return true
		}
	}
	return false
}

// indexedGrants are grants by their resources.
type indexedGrants map[string][]indexedGrant

func (x *indexedGrants) add(g Grant) {
	if *x == nil {
		*x = make(indexedGrants)
	}
	(*x)[g.Resource] = append((*x)[g.Resource], indexedGrant{
		actions: sorted(g.Actions), identifiers: sorted(g.Identifiers), prefixes: widest(g.Identifiers),
	})
}

func (x indexedGrants) any(resource string, is func(*indexedGrant) bool) bool {
	grants := x[resource]
	for i := range grants {
		if is(&grants[i]) {
			return true
		}
	}
	return false
}

// indexedGrant is a grant with sorted lists. Its prefixes do not have their "*", and none of them begins with another: so
// only the one that precedes an identifier can be its prefix.
type indexedGrant struct {
	actions, identifiers, prefixes []string
}

func (g *indexedGrant) covers(s Scope) bool {
	return (has(g.actions, s.Action) || has(g.actions, Any)) && g.coversIdentifier(s.Identifier)
}

func (g *indexedGrant) overlaps(s Scope) bool {
	if s.Action == Any {
		return len(g.actions) > 0 && g.overlapsIdentifier(s.Identifier)
	}
	return (has(g.actions, s.Action) || has(g.actions, Any)) && g.overlapsIdentifier(s.Identifier)
}

func (g *indexedGrant) coversIdentifier(id string) bool {
	if has(g.identifiers, id) {
		return true
	}
	next, isThere := slices.BinarySearch(g.prefixes, id)
	return isThere || next > 0 && strings.HasPrefix(id, g.prefixes[next-1])
}

func (g *indexedGrant) overlapsIdentifier(id string) bool {
	if g.coversIdentifier(id) {
		return true
	}
	prefix, isPrefix := strings.CutSuffix(id, Any)
	if !isPrefix {
		return false
	}
	next, _ := slices.BinarySearch(g.identifiers, prefix)
	return next < len(g.identifiers) && strings.HasPrefix(g.identifiers[next], prefix)
}

func has(sorted []string, text string) bool {
	_, ok := slices.BinarySearch(sorted, text)
	return ok
}

// sorted returns the list itself if it is sorted, as most are.
func sorted(list []string) []string {
	if slices.IsSorted(list) {
		return list
	}
	return slices.Sorted(slices.Values(list))
}

// widest returns the prefixes among identifiers, sorted, without those that begin with another.
func widest(identifiers []string) []string {
	var all []string
	for _, id := range identifiers {
		if prefix, ok := strings.CutSuffix(id, Any); ok {
			all = append(all, prefix)
		}
	}
	slices.Sort(all)
	kept := all[:0]
	for _, prefix := range all {
		if n := len(kept); n == 0 || !strings.HasPrefix(prefix, kept[n-1]) {
			kept = append(kept, prefix)
		}
	}
	return kept
}
