package admin

import (
	"context"
	"errors"
	"net/url"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

// kind is a kind of registry entry: what routes do alike with clients and with resources.
type kind[E any] struct {
	name   string // in messages, paths and the audit log
	id     string // the path parameter and the field that name an entry
	read   func(registry.Registry, context.Context, string) (*E, error)
	write  func(*store.Store, context.Context, string, func(*E) (*E, error)) (registry.Change, error)
	damage func(*E) error
}

var (
	clients = kind[registry.Client]{"client", "id", registry.Registry.Client, (*store.Store).EditClient,
		func(c *registry.Client) error { return c.Damage }}
	resources = kind[registry.Resource]{"resource", "code", registry.Registry.Resource, (*store.Store).EditResource,
		func(r *registry.Resource) error { return r.Damage }}
)

func isNotFound(err error) bool { return errors.Is(err, registry.ErrNotFound) }

// find returns the entry that the path names, as the next token request finds it.
func (k kind[E]) find(a *request) (*E, error) {
	id := a.r.PathValue(k.id)
	entry, err := k.read(a.issuer.Registry, a.r.Context(), id)
	if isNotFound(err) {
		return nil, k.notFound(id)
	}
	return entry, err
}

func (k kind[E]) notFound(id string) error { return api.NotFound("there is no %s %q", k.name, id) }

// create stores the entry that build makes, unless there is one already.
func (k kind[E]) create(a *request, s *store.Store, id string, build func() (*E, error)) (*E, error) {
	change, err := k.write(s, a.r.Context(), id, func(current *E) (*E, error) {
		if current != nil {
			return nil, api.Errorf(api.CodeExists, "%s %q exists already", k.name, id)
		}
		return build()
	})
	if err != nil {
		return nil, err
	}
	a.audit(k.name+".create", change)
	a.w.Header().Set("Location", "/m2m/"+k.name+"s/"+url.PathEscape(id))
	return change.After.(*E), nil
}

// edit changes the entry that the path names, if its version is the requested one. A damaged entry can only be deleted.
func (k kind[E]) edit(a *request, operation string, edit func(*E) (*E, error)) (registry.Change, error) {
	s, err := a.writable()
	if err != nil {
		return registry.Change{}, err
	}
	id := a.r.PathValue(k.id)
	change, err := k.write(s, a.r.Context(), id, func(current *E) (*E, error) {
		if current == nil {
			return nil, k.notFound(id)
		}
		if damage := k.damage(current); damage != nil && operation != k.name+".delete" {
			return nil, damage
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
