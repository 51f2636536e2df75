package registry

import (
	"context"
	"encoding/json"
	"errors"
	"maps"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// MaxLiveSecrets is how many secrets of a client in storage may work at a time: one, and the one that
// replaces it.
const MaxLiveSecrets = 2

// EditClient changes one client. The function gets a copy of what is stored now, nil when there is
// none, and returns what to store, nil to delete. Nothing else changes the registry meanwhile, on
// any node. When it returns an error, that is returned and nothing is changed.
//
// The result is held against the rules of a registry file; what breaks them is an *InvalidError. A
// storage that cannot be read or written is ErrUnavailable: the client is as it was. A client whose
// object is broken can be deleted, and nothing else; the function gets one with only its id and the damage.
func (s *Store) EditClient(ctx context.Context, id string, edit func(*Client) (*Client, error)) (Change, error) {
	name, err := clientName(id)
	if err != nil {
		return Change{}, err
	}
	change := Change{Kind: "client", ID: id}
	err = s.write(ctx, func(ctx context.Context, w *changing) error {
		before, damage := s.readClient(ctx, name, id)
		if damage != nil && !errors.Is(damage, errBroken) {
			return damage
		}
		editable := copyClient(before)
		if damage != nil {
			editable = &Client{ID: id, Damage: damage}
		}
		after, err := edit(editable)
		if err != nil {
			return err
		}
		if after != nil && damage != nil {
			return damage
		}
		if after != nil {
			if after, err = s.checkClient(id, before, after, s.resources.Load().sorted); err != nil {
				return err
			}
		}
		change.Before, change.After = orBroken(clientOrNil(before), damage), clientOrNil(after)
		if change.Action() == "" {
			return nil
		}
		return w.commit(ctx, []put{{s.clientKey(name), id, marshalerOrNil(change.After)}})
	})
	if err != nil {
		return Change{}, err
	}
	return change, nil
}

// EditResource changes one resource, as EditClient changes a client: one whose object is broken can be
// deleted, and nothing else. To delete one, or an action of one, that grants still name is an *InUseError.
func (s *Store) EditResource(ctx context.Context, code string, edit func(*Resource) (*Resource, error)) (Change, error) {
	if err := scope.CheckResource(code); err != nil {
		return Change{}, &InvalidError{Problems: []string{"a resource's code: " + err.Error()}}
	}
	name, err := recordName(code)
	if err != nil {
		return Change{}, err
	}
	change := Change{Kind: "resource", ID: code}
	err = s.write(ctx, func(ctx context.Context, w *changing) error {
		before, damage := s.resources.Load().byCode[code], s.resources.Load().broken[code]
		editable := copyResource(before)
		if damage != nil {
			editable = &Resource{Code: code, Damage: damage}
		}
		after, err := edit(editable)
		if err != nil {
			return err
		}
		if after != nil && damage != nil {
			return damage
		}
		if after != nil {
			if after, err = checkResource(code, after); err != nil {
				return err
			}
		}
		change.Before, change.After = orBroken(resourceOrNil(before), damage), resourceOrNil(after)
		if change.Action() == "" {
			return nil
		}
		if err := checkUnused(ctx, s, []Change{change}, nil); err != nil {
			return err
		}
		return w.commit(ctx, []put{{s.resourceKey(name), code, marshalerOrNil(change.After)}})
	})
	if err != nil {
		return Change{}, err
	}
	return change, nil
}

// copyClient is for who may change it. A client that was read can be read again.
func copyClient(c *Client) *Client {
	if c == nil {
		return nil
	}
	data, err := c.MarshalJSON()
	if err != nil {
		return nil
	}
	again, err := decodeClient(c.ID, data)
	if err != nil {
		return nil
	}
	return again
}

func copyResource(r *Resource) *Resource {
	if r == nil {
		return nil
	}
	again := *r
	again.Actions, again.Attributes = maps.Clone(r.Actions), maps.Clone(r.Attributes)
	return &again
}

// clientOrNil keeps a nil client from being an interface that is not nil.
func clientOrNil(c *Client) any {
	if c == nil {
		return nil
	}
	return c
}

func resourceOrNil(r *Resource) any {
	if r == nil {
		return nil
	}
	return r
}

// orBroken is what there was, or that its object could not be used.
func orBroken(before any, damage error) any {
	if damage != nil {
		return Broken{Reason: damage.Error()}
	}
	return before
}

func marshalerOrNil(entry any) json.Marshaler {
	m, _ := entry.(json.Marshaler)
	return m
}
