package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// MaxLiveSecrets is how many secrets of a client in storage may work at a time: one, and the one that
// replaces it.
const MaxLiveSecrets = 2

// changing is one change under way: the registry's lock is held, and every node's changes are followed.
type changing struct {
	store   *Store
	journal *journal
	changed []string // keys that are being changed
}

// put is a record to store, or to delete where there is no entry.
type put struct {
	key, id string
	entry   json.Marshaler // nil deletes
}

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

// write runs a change while nobody else changes the registry. That the storage refused it is told.
func (s *Store) write(ctx context.Context, change func(context.Context, *changing) error) error {
	err := s.writeLocked(ctx, change)
	if errors.Is(err, ErrUnavailable) {
		s.tell("changing the registry", err)
	}
	return err
}

func (s *Store) writeLocked(ctx context.Context, change func(context.Context, *changing) error) error {
	s.lease.mu.Lock()
	defer s.lease.mu.Unlock()
	if err := s.lease.take(ctx); err != nil {
		return err
	}
	defer s.lease.linger()
	s.mu.Lock()
	defer s.mu.Unlock()
	j, err := s.loadJournal(ctx)
	if errors.Is(err, errBroken) { // all that it tells is what to read again: everything
		j, err = &journal{Sequence: s.sequence.Load(), Pending: &keys{All: true}}, nil
	}
	if err != nil {
		return err
	}
	if _, err := s.follow(ctx, j); err != nil {
		return err
	}
	// whoever asked may go away; what has begun is brought to its end
	return change(context.WithoutCancel(ctx), &changing{store: s, journal: j})
}

// Close lets other nodes change the registry at once, where they would wait a moment.
func (s *Store) Close() {
	s.lease.mu.Lock()
	defer s.lease.mu.Unlock()
	s.lease.release(context.Background())
}

// commit stores records one after the other, each whole or not at all, in between the two entries of
// the journal. When one fails, those before it stay.
func (w *changing) commit(ctx context.Context, puts []put) error {
	s := w.store
	for _, p := range puts {
		w.changed = append(w.changed, p.key)
	}
	w.journal.begin(keysOf(w.changed))
	if err := s.storeJournal(ctx, w.journal); err != nil {
		return err
	}
	for _, p := range puts {
		if err := w.apply(ctx, p); err != nil {
			return err
		}
	}
	w.journal.finish()
	s.sequence.Store(w.journal.Sequence)
	if err := s.storeJournal(ctx, w.journal); err != nil {
		// the change is made, and every node reads it again for as long as it is pending
		s.tell("ending a change of the registry", err)
	}
	return nil
}

func (w *changing) apply(ctx context.Context, p put) error {
	s := w.store
	err := w.store.replace(ctx, p)
	if !isResourceKey(p.key) {
		s.forgetClient(p.id) // also after an error: nobody knows what is stored now
		return err
	}
	if err != nil {
		return errors.Join(err, s.readResources(ctx))
	}
	r, _ := p.entry.(*Resource)
	s.resources.Store(s.resources.Load().with(p.id, r))
	return nil
}

func (s *Store) replace(ctx context.Context, p put) error {
	if p.entry == nil {
		if err := s.storage.Delete(ctx, p.key); err != nil {
			return unavailable("deleting "+p.key, err)
		}
		return nil
	}
	entry, err := p.entry.MarshalJSON()
	if err != nil {
		return fmt.Errorf("encoding %s: %w", p.id, err)
	}
	object, err := encodeRecord(p.id, entry)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", p.id, err)
	}
	if err := s.storage.Store(ctx, p.key, object); err != nil {
		return unavailable("storing "+p.key, err)
	}
	return nil
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
