package admin

import (
	"net/http"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

func listGrants(a *request) error {
	client, err := clients.find(a)
	if err != nil {
		return err
	}
	a.w.Header().Set("ETag", etag(client))
	writeJSON(a.w, http.StatusOK, api.GrantList{Grants: scopeGrants(client)})
	return nil
}

// scopeGrants returns a client's grants, one for each identifier and action.
func scopeGrants(c *registry.Client) []api.ScopeGrant {
	grants := []api.ScopeGrant{}
	for _, g := range c.Grants {
		for _, identifier := range g.Identifiers {
			for _, action := range g.Actions {
				grants = append(grants, api.ScopeGrant{Scope: g.Resource + ":" + identifier + ":" + action, Effect: g.Effect()})
			}
		}
	}
	return grants
}

// holds reports whether a grant names this identifier and this action.
func holds(g scope.Grant, s scope.Scope, deny bool) bool {
	return g.Deny == deny && g.Resource == s.Resource && slices.Contains(g.Identifiers, s.Identifier) && slices.Contains(g.Actions, s.Action)
}

// grantChange has the grants to add or to remove, all of them or none.
type grantChange struct {
	scopes []scope.Scope
	deny   bool
}

func readGrants(scopes []string, effect string) (grantChange, error) {
	if len(scopes) == 0 {
		return grantChange{}, api.Invalid("scope is missing")
	}
	var change grantChange
	for _, text := range scopes {
		s, deny, err := api.ScopeGrant{Scope: text, Effect: effect}.Parse()
		if err != nil {
			return grantChange{}, err
		}
		change.scopes, change.deny = append(change.scopes, s), deny
	}
	return change, nil
}

// grants returns the grants of a body: one as "scope", or several as "scopes".
func (f *bodyFields) grants() (grantChange, error) {
	one, single := f.text("scope")
	scopes, several := f.texts("scopes")
	if single && several {
		f.fail(`only one of "scope" and "scopes" is accepted`)
	}
	if single {
		scopes = []string{one}
	}
	effect, given := f.text("effect")
	if given && effect == "" {
		f.fail(`effect must be "allow" or "deny"`)
	}
	if f.err != nil {
		return grantChange{}, f.err
	}
	return readGrants(scopes, effect)
}

func addGrant(a *request) error {
	added, err := a.fields("a grant", "scope", "scopes", "effect").grants()
	if err != nil {
		return err
	}
	change, err := clients.edit(a, "grant.add", func(c *registry.Client) (*registry.Client, error) {
		for _, s := range added.scopes {
			if !slices.ContainsFunc(c.Grants, func(g scope.Grant) bool { return holds(g, s, added.deny) }) {
				c.Grants = append(c.Grants, scope.Grant{Resource: s.Resource, Identifiers: []string{s.Identifier}, Actions: []string{s.Action}, Deny: added.deny})
			}
		}
		return c, nil
	})
	if err != nil {
		return err
	}
	return a.writeGrants(change)
}

func removeGrant(a *request) error {
	removed, err := readGrants(a.query["scope"], a.query.Get("effect"))
	if err != nil {
		return err
	}
	change, err := clients.edit(a, "grant.remove", func(c *registry.Client) (*registry.Client, error) {
		had := slices.Clone(c.Grants) // a scope may be named twice
		for _, s := range removed.scopes {
			if !slices.ContainsFunc(had, func(g scope.Grant) bool { return holds(g, s, removed.deny) }) {
				return nil, api.NotFound("client %q has no such grant: %s %s", c.ID, api.Effect(removed.deny), s)
			}
			var kept []scope.Grant
			for _, g := range c.Grants {
				if holds(g, s, removed.deny) {
					kept = append(kept, without(g, s)...)
				} else {
					kept = append(kept, g)
				}
			}
			c.Grants = kept
		}
		return c, nil
	})
	if err != nil {
		return err
	}
	return a.writeGrants(change)
}

// without returns what remains of a grant without one action on one identifier: the other identifiers, and the other
// actions on this one.
func without(g scope.Grant, s scope.Scope) []scope.Grant {
	var kept []scope.Grant
	keep := func(identifiers, actions []string) {
		if len(identifiers) > 0 && len(actions) > 0 {
			kept = append(kept, scope.Grant{Resource: g.Resource, Identifiers: identifiers, Actions: actions, Deny: g.Deny})
		}
	}
	except := func(list []string, one string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(each string) bool { return each == one })
	}
	keep(except(g.Identifiers, s.Identifier), g.Actions)
	keep([]string{s.Identifier}, except(g.Actions, s.Action))
	return kept
}

func (a *request) writeGrants(change registry.Change) error {
	client := change.After.(*registry.Client)
	return a.writeEntry(http.StatusOK, client, api.ChangedGrants{Changed: change.Action() != "", Grants: scopeGrants(client)})
}
