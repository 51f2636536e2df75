package caddymodule

import (
	"net/netip"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// clientView is a client as the API, the audit log and events show it: without hashes of secrets.
type clientView struct {
	ID          string         `json:"id"`
	Description string         `json:"description"`
	Attributes  map[string]any `json:"attributes"`
	TokenTTL    string         `json:"token_ttl,omitempty"`
	Disabled    bool           `json:"disabled"`
	Expires     time.Time      `json:"expires,omitzero"`
	Audiences   []string       `json:"audiences"`
	Introspects []string       `json:"introspects,omitempty"`
	Networks    []netip.Prefix `json:"networks"`
	Secrets     []secretView   `json:"secrets"`
	Grants      []grantView    `json:"grants"`
}

type secretView struct {
	ID          string    `json:"id"`
	Fingerprint string    `json:"fingerprint"` // that another secret has taken its ID can be seen by
	Created     time.Time `json:"created,omitzero"`
	Expires     time.Time `json:"expires,omitzero"`
	LastUsed    time.Time `json:"last_used,omitzero"`
	Live        bool      `json:"live"`
}

// brokenView stands for an entry whose object could not be used.
type brokenView struct {
	Broken string `json:"broken"`
}

type grantView struct {
	Resource    string   `json:"resource"`
	Identifiers []string `json:"identifiers"`
	Actions     []string `json:"actions"`
	Effect      string   `json:"effect"`
}

// resourceView is a resource as the API, the audit log and events show it.
type resourceView struct {
	Code        string            `json:"code"`
	Description string            `json:"description"`
	Audience    string            `json:"audience,omitempty"`
	Actions     map[string]string `json:"actions"`
	Attributes  map[string]any    `json:"attributes"`
}

func viewClient(c *registry.Client) *clientView {
	v := &clientView{
		ID: c.ID, Description: c.Description, Attributes: orEmptyMap(c.Attributes), Disabled: c.Disabled, Expires: c.Expires,
		Audiences: orEmpty(c.Audiences), Introspects: c.Introspects, Networks: orEmpty(c.Networks), Secrets: viewSecrets(c, nil), Grants: []grantView{},
	}
	if c.TokenTTL > 0 {
		v.TokenTTL = c.TokenTTL.String()
	}
	for _, g := range c.Grants {
		v.Grants = append(v.Grants, grantView{g.Resource, g.Identifiers, g.Actions, g.Effect()})
	}
	return v
}

func viewSecrets(c *registry.Client, lastUsed map[string]time.Time) []secretView {
	views := []secretView{}
	for _, s := range c.Secrets {
		views = append(views, secretView{s.ID, s.Fingerprint(), s.Created, s.Expires, lastUsed[s.ID], s.Live(time.Now())})
	}
	return views
}

func viewResource(r *registry.Resource) *resourceView {
	return &resourceView{r.Code, r.Description, r.Audience, r.Actions, orEmptyMap(r.Attributes)}
}

// viewEntry is the view of what there is in a registry.Change, and nil of nil.
func viewEntry(entry any) any {
	switch e := entry.(type) {
	case *registry.Client:
		return viewClient(e)
	case *registry.Resource:
		return viewResource(e)
	case registry.Broken:
		return brokenView{e.Reason}
	}
	return nil
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func orEmptyMap(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
