package admin

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

const (
	// defaultOverlap is how long old secrets work after a rotation.
	defaultOverlap = 24 * time.Hour
	// recentUse is how long after its last use a secret counts as in use.
	recentUse = time.Hour
)

func listSecrets(a *request) error {
	client, err := clients.find(a)
	if err != nil {
		return err
	}
	a.w.Header().Set("ETag", etag(client))
	writeJSON(a.w, http.StatusOK, api.SecretList{Secrets: viewSecrets(client, a.lastUsed(client.ID))})
	return nil
}

func createSecret(a *request) error {
	fields := a.optionalFields("a new secret", "client_secret", "expires")
	expires, existing := fields.future("expires"), fields.existingSecret(a.r.PathValue("id"))
	if fields.err != nil {
		return fields.err
	}
	operation := "secret.create"
	if existing != "" {
		operation = "secret.import"
	}
	var created api.CreatedSecret
	used := a.lastUsed(a.r.PathValue("id"))
	_, err := clients.edit(a, operation, func(c *registry.Client) (*registry.Client, error) {
		id := nextSecretID(c, used)
		if live := dropExpired(c); live == store.MaxLiveSecrets {
			return nil, api.Errorf(api.CodeTooManySecrets, "client %q has %d secrets that work: revoke one, or rotate", c.ID, live)
		}
		if existing != "" {
			return c, importSecret(c, id, existing, expires, &created)
		}
		created = addSecret(c, id, expires)
		return c, nil
	})
	if err != nil {
		return err
	}
	writeJSON(a.w, http.StatusCreated, created)
	return nil
}

// existingSecret returns a secret to import for a client, or "" if the request has none.
func (f *bodyFields) existingSecret(client string) string {
	secret, given := f.text("client_secret")
	if !given {
		return ""
	}
	if err := registry.CheckImport(secret, client); err != nil {
		f.fail("client_secret: %v", err)
	}
	return secret
}

func rotateSecret(a *request) error {
	fields := a.optionalFields("a rotation", "overlap", "expires")
	expires, overlap := fields.future("expires"), fields.overlap()
	if fields.err != nil {
		return fields.err
	}
	force, err := a.flag("force")
	if err != nil {
		return err
	}
	var created api.CreatedSecret
	_, err = clients.edit(a, "secret.rotate", func(c *registry.Client) (*registry.Client, error) {
		used, err := a.recentUses(c.ID, force)
		if err != nil {
			return nil, err
		}
		id := nextSecretID(c, used)
		live := dropExpired(c)
		if overlap == 0 { // the old secrets end now, as if they were revoked
			for _, s := range c.Secrets {
				if err := checkUnused(s, used, force); err != nil {
					return nil, err
				}
			}
		}
		if live == store.MaxLiveSecrets {
			if err := endOldest(c, used, force); err != nil {
				return nil, err
			}
		}
		expireAll(c, time.Now().Add(overlap))
		old := viewSecrets(c, used)
		created = addSecret(c, id, expires)
		created.Old = old
		return c, nil
	})
	if err != nil {
		return err
	}
	writeJSON(a.w, http.StatusCreated, created)
	return nil
}

func revokeSecret(a *request) error {
	force, err := a.flag("force")
	if err != nil {
		return err
	}
	id := a.r.PathValue("secret")
	_, err = clients.edit(a, "secret.revoke", func(c *registry.Client) (*registry.Client, error) {
		i := slices.IndexFunc(c.Secrets, func(s registry.Secret) bool { return s.ID == id })
		if i < 0 {
			return nil, api.NotFound("client %q has no secret %q", c.ID, id)
		}
		used, err := a.recentUses(c.ID, force)
		if err != nil {
			return nil, err
		}
		if err := checkUnused(c.Secrets[i], used, force); err != nil {
			return nil, err
		}
		c.Secrets = slices.Delete(c.Secrets, i, i+1)
		dropExpired(c)
		return c, nil
	})
	if err != nil {
		return err
	}
	a.w.WriteHeader(http.StatusNoContent)
	return nil
}

// overlap returns how long the old secrets work after a rotation.
func (f *bodyFields) overlap() time.Duration {
	text, given := f.text("overlap")
	if !given {
		return defaultOverlap
	}
	overlap, err := time.ParseDuration(text)
	switch {
	case err != nil:
		f.fail(`overlap must be a duration such as "24h"`)
	case overlap < 0:
		f.fail("overlap must not be negative")
	}
	return overlap
}

// dropExpired removes expired secrets, and returns the number of the others.
func dropExpired(c *registry.Client) (live int) {
	now := time.Now()
	c.Secrets = slices.DeleteFunc(c.Secrets, func(s registry.Secret) bool { return !s.Live(now) })
	return len(c.Secrets)
}

// expireAll makes every secret expire, unless it expires earlier.
func expireAll(c *registry.Client, at time.Time) {
	at = at.UTC().Truncate(time.Second)
	for i := range c.Secrets {
		if s := &c.Secrets[i]; s.Expires.IsZero() || at.Before(s.Expires) {
			s.Expires = at
		}
	}
}

// endOldest removes the oldest secret to make room for a new one.
func endOldest(c *registry.Client, used map[string]time.Time, force bool) error {
	oldest := 0
	for i, s := range c.Secrets {
		if s.Created.Before(c.Secrets[oldest].Created) {
			oldest = i
		}
	}
	if err := checkUnused(c.Secrets[oldest], used, force); err != nil {
		return err
	}
	c.Secrets = slices.Delete(c.Secrets, oldest, oldest+1)
	return nil
}

// recentUses returns when a client's secrets were last used. It fails if that cannot be read, because a secret in use could
// then be ended, unless force allows that.
func (a *request) recentUses(id string, force bool) (map[string]time.Time, error) {
	if force {
		return a.lastUsed(id), nil
	}
	return a.issuer.Usage.LastUsed(a.r.Context(), id)
}

// checkUnused refuses to end a secret that is still in use.
func checkUnused(s registry.Secret, used map[string]time.Time, force bool) error {
	at := used[s.ID]
	if force || !s.Live(time.Now()) || time.Since(at) > recentUse {
		return nil
	}
	return api.Errorf(api.CodeInUse, "secret %q was used at %s, within the last hour: to end it anyway, use force", s.ID, at.Format(time.RFC3339))
}

// addSecret makes a secret and adds it to the client.
func addSecret(c *registry.Client, id string, expires time.Time) api.CreatedSecret {
	secret := registry.NewSecret()
	added := registry.Secret{ID: id, SHA256: registry.SumSecret(secret), Created: time.Now().UTC().Truncate(time.Second), Expires: expires.UTC()}
	c.Secrets = append(c.Secrets, added)
	return api.CreatedSecret{ClientID: c.ID, ClientSecret: secret, SecretID: added.ID, Expires: added.Expires}
}

// importSecret adds a secret that the client has already in another program. The answer does not repeat it.
func importSecret(c *registry.Client, id, secret string, expires time.Time, created *api.CreatedSecret) error {
	added := registry.ImportedSecret(secret)
	for _, s := range c.Secrets {
		if s.SHA256 == added.SHA256 {
			return api.Errorf(api.CodeExists, "client %q has this secret already: it is %s", c.ID, s.ID)
		}
	}
	added.ID, added.Created, added.Expires = id, time.Now().UTC().Truncate(time.Second), expires.UTC()
	c.Secrets = append(c.Secrets, added)
	*created = api.CreatedSecret{ClientID: c.ID, SecretID: added.ID, Expires: added.Expires}
	return nil
}

// nextSecretID returns an ID that no secret of the client is known to have had. Call it before expired secrets are dropped.
func nextSecretID(c *registry.Client, used map[string]time.Time) string {
	last := 0
	note := func(id string) {
		if n, err := strconv.Atoi(id[min(1, len(id)):]); err == nil && id[0] == 's' {
			last = max(last, n)
		}
	}
	for _, s := range c.Secrets {
		note(s.ID)
	}
	for id := range used {
		note(id)
	}
	return "s" + strconv.Itoa(last+1)
}
