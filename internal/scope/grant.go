package scope

import (
	"encoding/json"
	"fmt"
)

// The effects of a grant in JSON.
const (
	Allow = "allow"
	Deny  = "deny"
)

// Grant is one authorization of a client: what it may do or, with Deny, what it may not do even if other grants allow it.
type Grant struct {
	// Resource is a resource's code, or "*".
	Resource string
	// Identifiers are identifiers, prefixes that end in "*", or "*".
	Identifiers []string
	// Actions are the resource's actions, or "*".
	Actions []string
	// Deny refuses every scope that overlaps the grant.
	Deny bool
}

// Covers reports whether one scope of the grant covers b. If none does, several do not cover it together either, because a
// wildcard stands for unboundedly many values.
func (g Grant) Covers(b Scope) bool { return g.anyScope(func(s Scope) bool { return s.Covers(b) }) }

// Overlaps reports whether some (resource, identifier, action) is in the grant and in b.
func (g Grant) Overlaps(b Scope) bool {
	_, ok := g.Overlapping(b)
	return ok
}

// Overlapping returns the first scope of the grant that overlaps b, if there is one.
func (g Grant) Overlapping(b Scope) (first Scope, ok bool) {
	ok = g.anyScope(func(s Scope) bool {
		first = s
		return s.Overlaps(b)
	})
	return first, ok
}

func (g Grant) anyScope(is func(Scope) bool) bool {
	for _, id := range g.Identifiers {
		for _, action := range g.Actions {
			if is(Scope{Resource: g.Resource, Identifier: id, Action: action}) {
				return true
			}
		}
	}
	return false
}

// Effect returns Allow or Deny.
func (g Grant) Effect() string {
	if g.Deny {
		return Deny
	}
	return Allow
}

// grantJSON is a grant in the input of policies and in logs, with an explicit effect.
type grantJSON struct {
	Resource    string   `json:"resource"`
	Identifiers []string `json:"identifiers"`
	Actions     []string `json:"actions"`
	Effect      string   `json:"effect"`
}

// MarshalJSON writes the grant with its effect.
func (g Grant) MarshalJSON() ([]byte, error) {
	return json.Marshal(grantJSON{g.Resource, g.Identifiers, g.Actions, g.Effect()})
}

// UnmarshalJSON reads what MarshalJSON writes. It fails on an effect that is neither Allow nor Deny.
func (g *Grant) UnmarshalJSON(data []byte) error {
	var read grantJSON
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	if read.Effect != Allow && read.Effect != Deny {
		return fmt.Errorf("effect is %q; it is %s or %s", read.Effect, Allow, Deny)
	}
	*g = Grant{read.Resource, read.Identifiers, read.Actions, read.Effect == Deny}
	return nil
}
