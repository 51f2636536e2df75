package store

import (
	"context"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// ApplyOptions say how a registry file is applied.
type ApplyOptions struct {
	// DryRun returns the changes without making them.
	DryRun bool
	// Prune deletes entries that the file does not name.
	Prune bool
}

// Apply creates or replaces the entries of a registry file. A client of the file without "secrets" keeps those it has.
// Apply checks everything before it writes. An error about the file is a *registry.InvalidError, with name as the file's
// name, or a *registry.InUseError. Apply returns the changes, resources first.
//
// If the storage fails half-way, the entries that were written remain, and another Apply writes the rest.
func (s *Store) Apply(ctx context.Context, name string, data []byte, o ApplyOptions) ([]registry.Change, error) {
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	if o.DryRun {
		return s.base().Plan(ctx, name, data, o.Prune)
	}
	var changes []registry.Change
	err := s.write(ctx, func(ctx context.Context, w *writer) (err error) {
		if changes, err = s.base().Plan(ctx, name, data, o.Prune); err != nil || len(changes) == 0 {
			return err
		}
		puts, err := s.putsOf(changes)
		if err != nil {
			return err
		}
		return w.commit(ctx, puts)
	})
	if err != nil {
		return nil, err
	}
	return changes, nil
}

// base returns what is stored now.
func (s *Store) base() registry.Base {
	return registry.Base{
		Resources: s.resources.Load(),
		Client: func(ctx context.Context, id string) (*registry.Client, error) {
			name, err := clientName(id)
			if err != nil {
				return nil, err
			}
			return s.readClient(ctx, name, id)
		},
		ClientIDs: s.storedIDs,
		CheckClient: func(c *registry.Client, resources []*registry.Resource) (*registry.Client, error) {
			return s.checkClient(c.ID, nil, c, resources)
		},
		CheckResource: func(r *registry.Resource) (*registry.Resource, error) { return checkResource(r.Code, r) },
	}
}

// storedIDs leaves out objects that a Store cannot have stored.
func (s *Store) storedIDs(ctx context.Context) ([]string, error) {
	ids, err := listIDs(ctx, s.storage, s.prefix+"/clients")
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { _, err := clientName(id); return err != nil })
	slices.Sort(ids)
	return ids, nil
}

// putsOf orders the records so that a concurrent reader finds what grants name: resources are stored first and deleted
// last.
func (s *Store) putsOf(changes []registry.Change) ([]put, error) {
	var puts, last []put
	for _, c := range changes {
		p, err := s.putOf(c)
		if err != nil {
			return nil, err
		}
		if p.entry == nil && c.Kind == "resource" {
			last = append(last, p)
		} else {
			puts = append(puts, p)
		}
	}
	return append(puts, last...), nil
}
