package admin

import (
	"encoding/json"
	"net/http"
	"net/url"
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
	made := api.CreatedSecret{ClientID: asked.id}
	change, err := store.EditClient(a.r.Context(), asked.id, func(current *registry.Client) (*registry.Client, error) {
		if current != nil {
			return nil, api.Errorf(api.CodeExists, "client %q exists already", asked.id)
		}
		// only now are the resources those of all nodes
		resources, err := store.Resources(a.r.Context())
		if err != nil {
			return nil, err
		}
		client, err := asked.client(resources)
		if err == nil && asked.secret {
			made = addSecret(client, nextSecretID(client, nil), asked.secretExpires)
		}
		return client, err
	})
	if err != nil {
		return err
	}
	a.audit("client.create", change)
	created := change.After.(*registry.Client)
	made.Client = viewClient(created)
	a.w.Header().Set("Location", "/m2m/clients/"+url.PathEscape(asked.id))
	return a.writeEntry(http.StatusCreated, created, made)
}

// newClient is a client that is to be made: its fields as a registry file has them, its id, and whether it
// gets a secret.
type newClient struct {
	id            string
	entry         []byte
	expires       bool // are among the fields
	secret        bool
	secretExpires time.Time
}

func (a *request) newClient() (n newClient, err error) {
	fields, err := a.fields("a client", append(registry.ClientFields(), "id", "secret", "secret_expires")...)
	if err != nil {
		return n, err
	}
	if n.id, _, err = fields.text("id"); err != nil {
		return n, err
	}
	if n.secret, err = fields.flag("secret", true); err != nil {
		return n, err
	}
	if _, given := fields["secret_expires"]; given && !n.secret {
		return n, api.Invalid("secret_expires is of a secret, and none is wanted")
	}
	if n.secretExpires, err = fields.future("secret_expires"); err != nil {
		return n, err
	}
	_, n.expires = fields["expires"]
	n.entry, err = json.Marshal(fields)
	return n, err
}

// client reads the fields.
func (n newClient) client(resources []*registry.Resource) (*registry.Client, error) {
	client, err := registry.ParseClient(n.id, n.entry, resources, nil)
	if err == nil && n.expires {
		err = checkExpiry(client)
	}
	return client, err
}

// checkExpiry refuses an end that is over: more often than not it is a slip.
func checkExpiry(c *registry.Client) error {
	if !c.Expires.IsZero() && !c.Expires.After(time.Now()) {
		return api.Invalid("expires is in the past: to end a client now, disable it")
	}
	return nil
}

func showClient(a *request) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	return a.writeClient(client)
}

// client is the one that the path names, as the next token request will find it.
func (a *request) client() (*registry.Client, error) {
	id := a.r.PathValue("id")
	client, err := a.issuer.Registry.Client(a.r.Context(), id)
	if isNotFound(err) {
		return nil, api.NotFound("there is no client %q", id)
	}
	return client, err
}

// writeClient answers with a client, and when its secrets were last used.
func (a *request) writeClient(client *registry.Client) error {
	view := viewClient(client)
	view.Secrets = viewSecrets(client, a.lastUsed(client.ID))
	return a.writeEntry(http.StatusOK, client, view)
}

// lastUsed is what can be had: a storage that is away does not keep a client from being shown.
func (a *request) lastUsed(id string) map[string]time.Time {
	last, err := a.issuer.Usage.LastUsed(a.r.Context(), id)
	if err != nil {
		a.issuer.Logger.Warn("reading when secrets were last used failed", zap.Error(err))
	}
	return last
}

// editClient changes the client that the path names, if its version is the one that is asked for.
func (a *request) editClient(operation string, edit func(*registry.Client) (*registry.Client, error)) (registry.Change, error) {
	store, err := a.writable()
	if err != nil {
		return registry.Change{}, err
	}
	id := a.r.PathValue("id")
	change, err := store.EditClient(a.r.Context(), id, func(current *registry.Client) (*registry.Client, error) {
		if current == nil {
			return nil, api.NotFound("there is no client %q", id)
		}
		if current.Damage != nil && operation != "client.delete" {
			return nil, current.Damage
		}
		if err := a.checkVersion(current); err != nil {
			return nil, err
		}
		return edit(current)
	})
	if err == nil {
		a.audit(operation, change)
	}
	return change, err
}

func patchClient(a *request) error {
	patch, err := a.patch("id", "secrets")
	if err != nil {
		return err
	}
	change, err := a.editClient("client.update", func(current *registry.Client) (*registry.Client, error) {
		data, err := mergeEntry(current, patch)
		if err != nil {
			return nil, err
		}
		resources, err := a.issuer.Registry.Resources(a.r.Context()) // those of all nodes, only now
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
		return api.Invalid("a body is not taken here")
	}
	change, err := a.editClient(operation, func(c *registry.Client) (*registry.Client, error) {
		c.Disabled = disabled
		return c, nil
	})
	if err != nil {
		return err
	}
	return a.writeClient(change.After.(*registry.Client))
}

func deleteClient(a *request) error {
	change, err := a.editClient("client.delete", func(*registry.Client) (*registry.Client, error) { return nil, nil })
	if err != nil {
		return err
	}
	if err := a.issuer.Usage.Forget(a.r.Context(), change.ID); err != nil {
		a.issuer.Logger.Warn("forgetting when secrets were last used failed", zap.Error(err))
	}
	a.w.WriteHeader(http.StatusNoContent)
	return nil
}
