package store

import (
	"context"
	"errors"
	"maps"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// EditClient changes one client. The function gets a copy of the stored client, or nil if there is none. It returns the
// client to store, or nil to delete it. Nothing else changes the registry at the same time, on any node. If the function
// returns an error, EditClient returns that error and changes nothing.
//
// The result is checked against the rules of a registry file; a result that breaks them is a *registry.InvalidError. If
// the storage cannot be read or written, the error wraps registry.ErrUnavailable and the client stays as it was. A client
// whose object is broken can only be deleted. The function then gets a client that has only its ID and the damage.
func (s *Store) EditClient(ctx context.Context, id string, edit func(*registry.Client) (*registry.Client, error)) (registry.Change, error) {
	name, err := clientName(id)
	if err != nil {
		return registry.Change{}, err
	}
	return s.edit(ctx, func(ctx context.Context) (registry.Change, error) {
		before, damage := s.readClient(ctx, name, id)
		if damage != nil && !errors.Is(damage, registry.ErrBroken) {
			return registry.Change{}, damage
		}
		editable := copyClient(before)
		if damage != nil {
			editable = &registry.Client{ID: id, Damage: damage}
		}
		after, err := edited(editable, damage, edit, func(c *registry.Client) (*registry.Client, error) {
			checked, err := s.checkClient(id, before, c, s.resources.Load().Sorted)
			if err != nil {
				return nil, err
			}
			return checked, s.base(false).CheckIdentities(ctx, before, checked, nil)
		})
		return registry.ClientChange(id, before, damage, after), err
	})
}

// EditResource changes one resource, as EditClient changes a client. Deleting a resource or an action that grants name is
// a *registry.InUseError. If it needs an index of a large registry, it makes one and calls the function again.
func (s *Store) EditResource(ctx context.Context, code string, edit func(*registry.Resource) (*registry.Resource, error)) (registry.Change, error) {
	if err := scope.CheckResource(code); err != nil {
		return registry.Change{}, invalid("a resource's code: " + err.Error())
	}
	if _, err := recordName(code); err != nil {
		return registry.Change{}, err
	}
	var change registry.Change
	err := s.removing(ctx, func(readAll bool) (err error) {
		change, err = s.editResource(ctx, code, edit, readAll)
		return err
	})
	return change, err
}

func (s *Store) editResource(ctx context.Context, code string, edit func(*registry.Resource) (*registry.Resource, error), readAll bool) (registry.Change, error) {
	return s.edit(ctx, func(ctx context.Context) (registry.Change, error) {
		all := s.resources.Load()
		before, damage := all.ByCode[code], all.Broken[code]
		editable := copyResource(before)
		if damage != nil {
			editable = &registry.Resource{Code: code, Damage: damage}
		}
		after, err := edited(editable, damage, edit, func(r *registry.Resource) (*registry.Resource, error) {
			return checkResource(code, r)
		})
		if err != nil {
			return registry.Change{}, err
		}
		change := registry.ResourceChange(code, before, damage, after)
		return change, s.base(readAll).CheckUnused(ctx, []registry.Change{change}, nil)
	})
}

// edit makes the change that the function returns, unless it changes nothing.
func (s *Store) edit(ctx context.Context, edit func(context.Context) (registry.Change, error)) (registry.Change, error) {
	var change registry.Change
	err := s.write(ctx, func(ctx context.Context, w *writer) (err error) {
		if change, err = edit(ctx); err != nil || change.Action() == "" {
			return err
		}
		p, err := s.putOf(change)
		if err != nil {
			return err
		}
		return w.commit(ctx, []put{p})
	})
	if err != nil {
		return registry.Change{}, err
	}
	return change, nil
}

// edited returns what edit makes of an entry, checked. An entry whose object is broken can only be deleted.
func edited[T any](entry *T, damage error, edit, check func(*T) (*T, error)) (*T, error) {
	after, err := edit(entry)
	switch {
	case err != nil || after == nil:
		return nil, err
	case damage != nil:
		return nil, damage
	}
	return check(after)
}

// copyClient returns a copy that may be changed. Decoding a client that was decoded before does not fail.
func copyClient(c *registry.Client) *registry.Client {
	if c == nil {
		return nil
	}
	data, err := c.MarshalJSON()
	if err != nil {
		return nil
	}
	again, err := registry.DecodeClient(c.ID, data)
	if err != nil {
		return nil
	}
	return again
}

func copyResource(r *registry.Resource) *registry.Resource {
	if r == nil {
		return nil
	}
	again := *r
	again.Actions, again.Attributes = maps.Clone(r.Actions), maps.Clone(r.Attributes)
	return &again
}
