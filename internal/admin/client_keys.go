package admin

import (
	"net/http"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

func viewClientKeys(keys []registry.Key, lastUsed map[string]time.Time) (views []api.ClientKey) {
	for _, k := range keys {
		views = append(views, api.ClientKey{KID: k.ID, Alg: k.Algorithm, Thumbprint: k.Thumbprint, LastUsed: lastUsed[k.Thumbprint]})
	}
	return views
}

func listClientKeys(a *request) error {
	client, err := clients.find(a)
	if err != nil {
		return err
	}
	a.w.Header().Set("ETag", etag(client))
	writeJSON(a.w, http.StatusOK, api.ClientKeyList{Keys: api.OrEmpty(viewClientKeys(client.Keys, a.lastUsed(client.ID)))})
	return nil
}

// addClientKey adds a public key. The body is a JWK.
func addClientKey(a *request) error {
	data, _, err := a.body(api.MaxBody, "application/json", "application/jwk+json")
	if err != nil {
		return err
	}
	key, err := registry.ParseKey(data)
	if err != nil {
		return err
	}
	_, err = clients.edit(a, "key.add", func(c *registry.Client) (*registry.Client, error) {
		for _, k := range c.Keys {
			if k.Thumbprint == key.Thumbprint || k.ID == key.ID && k.ID != "" {
				return nil, api.Errorf(api.CodeExists, "client %q has a key with this kid or this thumbprint already", c.ID)
			}
		}
		if c.JWKSURI != "" {
			return nil, api.Invalid("client %q has a jwks_uri, which publishes its keys", c.ID)
		}
		c.Keys = append(c.Keys, key)
		return c, nil
	})
	if err != nil {
		return err
	}
	writeJSON(a.w, http.StatusCreated, viewClientKeys([]registry.Key{key}, nil)[0])
	return nil
}

// removeClientKey removes the key with the kid or the thumbprint of the path.
func removeClientKey(a *request) error {
	name := a.r.PathValue("key")
	_, err := clients.edit(a, "key.remove", func(c *registry.Client) (*registry.Client, error) {
		i := slices.IndexFunc(c.Keys, func(k registry.Key) bool { return k.ID == name || k.Thumbprint == name })
		if i < 0 {
			return nil, api.NotFound("client %q has no key %q", c.ID, name)
		}
		c.Keys = slices.Delete(c.Keys, i, i+1)
		return c, nil
	})
	if err != nil {
		return err
	}
	a.w.WriteHeader(http.StatusNoContent)
	return nil
}

func viewIdentities(identities []registry.Identity) (views []api.Identity) {
	for _, i := range identities {
		views = append(views, api.Identity(i))
	}
	return views
}

// viewCertificate returns the fields of a certificate, which have the same names in the registry.
func viewCertificate(c registry.Certificate) api.Certificate { return api.Certificate(c) }
