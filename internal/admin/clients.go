package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

func listClients(a *request) error {
	limit, err := a.page()
	if err != nil {
		return err
	}
	ctx := a.r.Context()
	ids, err := a.issuer.Registry.ClientIDs(ctx, a.query.Get("prefix"), a.query.Get("after"), limit+1)
	if err != nil {
		return err
	}
	answer := api.ClientList{Clients: []*api.Client{}}
	if len(ids) > limit {
		ids, answer.Next = ids[:limit], ids[limit-1]
	}
	for _, id := range ids {
		client, err := a.issuer.Registry.Client(ctx, id)
		if isNotFound(err) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		answer.Clients = append(answer.Clients, viewClient(client))
	}
	writeJSON(a.w, http.StatusOK, answer)
	return nil
}

func createClient(a *request) error {
	store, err := a.creatable()
	if err != nil {
		return err
	}
	asked, err := a.newClient()
	if err != nil {
		return err
	}
	created := api.CreatedSecret{ClientID: asked.id}
	client, err := clients.create(a, store, asked.id, func() (*registry.Client, error) {
		// while the registry is locked, these are the resources of all nodes
		resources, err := store.Resources(a.r.Context())
		if err != nil {
			return nil, err
		}
		client, err := asked.client(resources)
		if err == nil && asked.secret {
			created = addSecret(client, nextSecretID(client, nil), asked.secretExpires)
		}
		return client, err
	})
	if err != nil {
		return err
	}
	created.Client = viewClient(client)
	return a.writeEntry(http.StatusCreated, client, created)
}

// newClient is a client to create: its ID, its fields as a registry file has them, and whether it gets a secret.
type newClient struct {
	id            string
	entry         []byte
	expires       bool // is among the fields
	secret        bool
	secretExpires time.Time
}

func (a *request) newClient() (n newClient, err error) {
	f := a.fields("a client", append(registry.ClientFields(), "id", "secret", "secret_expires")...)
	n.id, _ = f.text("id")
	n.secret = f.flag("secret", true)
	if f.has("secret_expires") && !n.secret {
		f.fail("secret_expires needs a secret, and secret is false")
	}
	n.secretExpires = f.future("secret_expires")
	n.expires = f.has("expires")
	if f.err != nil {
		return n, f.err
	}
	n.entry, err = json.Marshal(f.raw)
	return n, err
}

func (n newClient) client(resources []*registry.Resource) (*registry.Client, error) {
	client, err := registry.ParseClient(n.id, n.entry, resources, nil)
	if err == nil && n.expires {
		err = checkExpiry(client)
	}
	return client, err
}

// checkExpiry refuses an end in the past, which is most likely a mistake.
func checkExpiry(c *registry.Client) error {
	if !c.Expires.IsZero() && !c.Expires.After(time.Now()) {
		return api.Invalid("expires is in the past: to end a client now, disable it")
	}
	return nil
}

func showClient(a *request) error {
	client, err := clients.find(a)
	if err != nil {
		return err
	}
	return a.writeClient(client)
}

// writeClient answers with a client, and with the time when each of its secrets and keys was last used.
func (a *request) writeClient(client *registry.Client) error {
	view := viewClient(client)
	view.Excluded = a.issuer.Excluded(client)
	used := a.lastUsed(client.ID)
	view.Secrets, view.Keys = viewSecrets(client, used), viewClientKeys(client.Keys, used)
	return a.writeEntry(http.StatusOK, client, view)
}

// lastUsed returns when secrets were last used. A client is shown without that if the storage fails.
func (a *request) lastUsed(id string) map[string]time.Time {
	last, err := a.issuer.Usage.LastUsed(a.r.Context(), id)
	if err != nil {
		a.issuer.Logger.Warn("reading when secrets were last used failed", zap.Error(err))
	}
	return last
}

func patchClient(a *request) error {
	patch, err := a.patch("id", "secrets")
	if err != nil {
		return err
	}
	change, err := clients.edit(a, "client.update", func(current *registry.Client) (*registry.Client, error) {
		data, err := mergeEntry(current, patch)
		if err != nil {
			return nil, err
		}
		resources, err := a.issuer.Registry.Resources(a.r.Context()) // while the registry is locked, those of all nodes
		if err != nil {
			return nil, err
		}
		patched, err := registry.ParseClient(current.ID, data, resources, current)
		if _, given := patch["expires"]; err == nil && given {
			err = checkExpiry(patched)
		}
		return patched, err
	})
	if err != nil {
		return err
	}
	return a.writeClient(change.After.(*registry.Client))
}

func disableClient(a *request) error { return a.setDisabled("client.disable", true) }
func enableClient(a *request) error  { return a.setDisabled("client.enable", false) }

func (a *request) setDisabled(operation string, disabled bool) error {
	if a.r.ContentLength != 0 {
		return api.Invalid("a body is not accepted here")
	}
	change, err := clients.edit(a, operation, func(c *registry.Client) (*registry.Client, error) {
		c.Disabled = disabled
		return c, nil
	})
	if err != nil {
		return err
	}
	return a.writeClient(change.After.(*registry.Client))
}

func deleteClient(a *request) error {
	change, err := clients.edit(a, "client.delete", func(*registry.Client) (*registry.Client, error) { return nil, nil })
	if err != nil {
		return err
	}
	if err := a.issuer.Usage.Forget(a.r.Context(), change.ID); err != nil {
		a.issuer.Logger.Warn("forgetting when secrets were last used failed", zap.Error(err))
	}
	a.w.WriteHeader(http.StatusNoContent)
	return nil
}
