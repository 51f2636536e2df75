package admin

import (
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

func viewClient(c *registry.Client) *api.Client {
	v := &api.Client{
		ID: c.ID, Description: c.Description, Attributes: api.OrEmptyMap(c.Attributes), Disabled: c.Disabled, Expires: c.Expires,
		Audiences: api.OrEmpty(c.Audiences), Introspects: c.Introspects, Networks: api.OrEmpty(c.Networks), Secrets: viewSecrets(c, nil), Grants: []api.Grant{},
		Auth: c.Auth, Keys: viewClientKeys(c.Keys, nil), JWKSURI: c.JWKSURI, Identities: viewIdentities(c.Identities), Certificate: viewCertificate(c.Certificate),
		Unused: c.Unused(), CertificateBound: c.CertificateBound, DPoPBound: c.DPoPBound,
	}
	if c.TokenTTL > 0 {
		v.TokenTTL = c.TokenTTL.String()
	}
	if l := c.Limits; l != (registry.Limits{}) {
		v.Limits = &api.Limits{Burst: l.Burst, Concurrent: l.Concurrent}
		if l.RatePerSecond != 0 {
			v.Limits.Rate = registry.FormatRate(l.RatePerSecond)
		}
	}
	for _, g := range c.Grants {
		v.Grants = append(v.Grants, api.Grant{Resource: g.Resource, Identifiers: g.Identifiers, Actions: g.Actions, Effect: g.Effect()})
	}
	return v
}

func viewSecrets(c *registry.Client, lastUsed map[string]time.Time) []api.Secret {
	views := []api.Secret{}
	for _, s := range c.Secrets {
		views = append(views, api.Secret{
			ID: s.ID, Fingerprint: s.Fingerprint(), Created: s.Created, Expires: s.Expires,
			LastUsed: lastUse(s, lastUsed[s.ID]), Imported: s.Imported, Live: s.Live(time.Now()),
		})
	}
	return views
}

func viewResource(r *registry.Resource) *api.Resource {
	return &api.Resource{
		Code: r.Code, Description: r.Description, Audience: r.Audience, Actions: r.Actions, Attributes: api.OrEmptyMap(r.Attributes),
	}
}

// viewEntry returns the view of an entry of a registry.Change, nil for nil.
func viewEntry(entry any) any {
	switch e := entry.(type) {
	case *registry.Client:
		return viewClient(e)
	case *registry.Resource:
		return viewResource(e)
	case registry.Broken:
		return api.Broken{Broken: e.Reason}
	}
	return nil
}

// lastUse returns when a secret was last used, which is known to the minute. It is not before the secret was made, and an
// earlier use was one of another secret with that ID.
func lastUse(s registry.Secret, at time.Time) time.Time {
	switch {
	case at.Before(s.Created.Truncate(time.Minute)):
		return time.Time{}
	case at.Before(s.Created):
		return s.Created
	}
	return at
}

func viewChanges(changes []registry.Change) []api.Change {
	views := []api.Change{}
	for _, c := range changes {
		views = append(views, api.Change{Kind: c.Kind, ID: c.ID, Action: c.Action(), Before: viewEntry(c.Before), After: viewEntry(c.After)})
	}
	return views
}
