package policy

import (
	"fmt"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
)

// maxNoted is how many deny grants the notes on a scope name.
const maxNoted = 5

// notes says how the grants and the registry relate to a scope. A policy may decide otherwise.
func (in TokenInput) notes(s scope.Scope) []string {
	notes := []string{grantNote(in.Client.Grants, s)}
	denials := 0
	for _, g := range in.Client.Grants {
		if overlapping, ok := g.Overlapping(s); ok && g.Deny {
			if denials++; denials > maxNoted {
				return append(notes, "more deny grants overlap it")
			}
			notes = append(notes, fmt.Sprintf("the deny grant %s overlaps it", overlapping))
		}
	}
	if r, known := in.Resources[s.Resource]; known && s.Action != scope.Any && !slices.Contains(r.Actions, s.Action) {
		notes = append(notes, fmt.Sprintf("the resource %s has no action %q%s", s.Resource, s.Action, suggestion(s.Action, r.Actions)))
	}
	return notes
}

// grantNote is about the allow grant that covers a scope, or the nearest one.
func grantNote(grants []scope.Grant, s scope.Scope) string {
	nearest, ok := scope.Nearest(grants, s)
	switch {
	case !ok:
		return "the client has no grant"
	case nearest.Covers():
		return fmt.Sprintf("the grant %s covers it", nearest.Grant)
	case !nearest.Resource && s.Resource == scope.Any:
		return "no grant is on every resource"
	case !nearest.Resource:
		return "no grant is on the resource " + s.Resource
	}
	lacks := ""
	if !nearest.Identifier {
		lacks = part("the identifier", "every identifier", s.Identifier)
	}
	if !nearest.Action {
		if lacks != "" {
			lacks += " and "
		}
		lacks += part("the action", "every action", s.Action)
	}
	return fmt.Sprintf("nearest grant: %s; it lacks %s", nearest.Grant, lacks)
}

func part(one, every, name string) string {
	if name == scope.Any {
		return every
	}
	return one + " " + name
}

// suggestion names the name that was meant, if one is near.
func suggestion(wrong string, right []string) string {
	near := suggest.Nearest(wrong, slices.Values(right))
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", near)
}
