package registry

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// hasGrant reports whether a grant, or one that is a part of it, is one of the client's. A nil client has
// none.
func (c *Client) hasGrant(part scope.Grant) bool {
	return c != nil && slices.ContainsFunc(c.Grants, func(g scope.Grant) bool {
		return g.Resource == part.Resource && g.Deny == part.Deny &&
			containsAll(g.Identifiers, part.Identifiers) && containsAll(g.Actions, part.Actions)
	})
}

func containsAll(list, part []string) bool {
	return !slices.ContainsFunc(part, func(one string) bool { return !slices.Contains(list, one) })
}

// holdsText reports whether a text stands somewhere in the client, whole.
func (c *Client) holdsText(text string) bool {
	entry, entryErr := json.Marshal(c)
	word, wordErr := json.Marshal(text)
	return entryErr == nil && wordErr == nil && bytes.Contains(entry, word)
}
