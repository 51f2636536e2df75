package caddymodule

import (
	"net/http"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// scopeGrant is a grant on one identifier and one action, as a scope.
type scopeGrant struct {
	Scope  string `json:"scope"`
	Effect string `json:"effect"`
}

// read checks the scope and the effect, which is "allow" by default.
func (g scopeGrant) read() (scope.Scope, bool, error) {
	s, err := scope.Parse(g.Scope)
	if err != nil {
		return scope.Scope{}, false, invalid("scope: %v", err)
	}
	if g.Effect != "" && g.Effect != "allow" && g.Effect != "deny" {
		return scope.Scope{}, false, invalid(`effect must be "allow" or "deny"`)
	}
	return s, g.Effect == "deny", nil
}

func listGrants(a *adminRequest) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	a.w.Header().Set("ETag", etag(client))
	writeAdminJSON(a.w, http.StatusOK, map[string]any{"grants": scopeGrants(client)})
	return nil
}

// scopeGrants are a client's grants, one for each identifier and action.
func scopeGrants(c *registry.Client) []scopeGrant {
	grants := []scopeGrant{}
	for _, g := range c.Grants {
		for _, identifier := range g.Identifiers {
			for _, action := range g.Actions {
				grants = append(grants, scopeGrant{g.Resource + ":" + identifier + ":" + action, g.Effect()})
			}
		}
	}
	return grants
}

// holds reports whether a grant is, among others, on this identifier and action by their names.
func holds(g scope.Grant, s scope.Scope, deny bool) bool {
	return g.Deny == deny && g.Resource == s.Resource && slices.Contains(g.Identifiers, s.Identifier) && slices.Contains(g.Actions, s.Action)
}

func addGrant(a *adminRequest) error {
	data, _, err := a.body(maxAdminBody, "application/json")
	if err != nil {
		return err
	}
	var asked scopeGrant
	if err := decodeStrictly(data, &asked); err != nil {
		return err
	}
	s, deny, err := asked.read()
	if err != nil {
		return err
	}
	change, err := a.editClient("grant.add", func(c *registry.Client) (*registry.Client, error) {
		if !slices.ContainsFunc(c.Grants, func(g scope.Grant) bool { return holds(g, s, deny) }) {
			c.Grants = append(c.Grants, scope.Grant{Resource: s.Resource, Identifiers: []string{s.Identifier}, Actions: []string{s.Action}, Deny: deny})
		}
		return c, nil
	})
	if err != nil {
		return err
	}
	return a.writeGrants(change)
}

func removeGrant(a *adminRequest) error {
	s, deny, err := scopeGrant{a.query.Get("scope"), a.query.Get("effect")}.read()
	if err != nil {
		return err
	}
	change, err := a.editClient("grant.remove", func(c *registry.Client) (*registry.Client, error) {
		var left []scope.Grant
		found := false
		for _, g := range c.Grants {
			if !holds(g, s, deny) {
				left = append(left, g)
				continue
			}
			found = true
			left = append(left, without(g, s)...)
		}
		if !found {
			return nil, notFound("client %q has no such grant", c.ID)
		}
		c.Grants = left
		return c, nil
	})
	if err != nil {
		return err
	}
	return a.writeGrants(change)
}

// without is what is left of a grant that loses one action on one identifier: the other identifiers,
// and the other actions on this one.
func without(g scope.Grant, s scope.Scope) []scope.Grant {
	var left []scope.Grant
	keep := func(identifiers, actions []string) {
		if len(identifiers) > 0 && len(actions) > 0 {
			left = append(left, scope.Grant{Resource: g.Resource, Identifiers: identifiers, Actions: actions, Deny: g.Deny})
		}
	}
	except := func(list []string, one string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(each string) bool { return each == one })
	}
	keep(except(g.Identifiers, s.Identifier), g.Actions)
	keep([]string{s.Identifier}, except(g.Actions, s.Action))
	return left
}

func (a *adminRequest) writeGrants(change registry.Change) error {
	client := change.After.(*registry.Client)
	return a.writeEntry(http.StatusOK, client, map[string]any{"changed": change.Action() != "", "grants": scopeGrants(client)})
}
