package store

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// ApplyOptions say how a registry file is applied.
type ApplyOptions struct {
	// DryRun returns the changes without making them.
	DryRun bool
	// Prune deletes entries that the file does not name.
	Prune bool
	// Compared and Written, if set, are called with how many clients of the file were compared with what is stored, and
	// how many changes were written, of how many. They must return at once.
	Compared, Written func(done, total int)
}

// PartlyAppliedError is the error of an Apply that has made some of its changes.
type PartlyAppliedError struct {
	// Written are the changes that were made, in their order. Total is the number of all.
	Written []registry.Change
	Total   int
	Err     error
}

// Error says why the rest was not written.
func (e *PartlyAppliedError) Error() string {
	return fmt.Sprintf("%d of %d changes are written, apply the file again to write the rest: %v", len(e.Written), e.Total, e.Err)
}

// Unwrap returns why the rest was not written.
func (e *PartlyAppliedError) Unwrap() error { return e.Err }

// Apply creates or replaces the entries of a registry file. A client of the file without "secrets" keeps those it has.
// Apply checks everything before it writes. An error about the file is a *registry.InvalidError, with name as the file's
// name, or a *registry.InUseError. Apply returns the changes, resources first.
//
// If the storage fails half-way, the entries that were written remain, and another Apply writes the rest. The error is then a
// *PartlyAppliedError.
func (s *Store) Apply(ctx context.Context, name string, data []byte, o ApplyOptions) ([]registry.Change, error) {
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	if o.DryRun {
		base := s.base(true)
		base.Compared = o.Compared
		return base.Plan(ctx, name, data, o.Prune)
	}
	var changes []registry.Change
	err := s.removing(ctx, func(readAll bool) (err error) {
		changes, err = s.apply(ctx, name, data, o, readAll)
		return err
	})
	if err != nil {
		return nil, err
	}
	return changes, nil
}

func (s *Store) apply(ctx context.Context, name string, data []byte, o ApplyOptions, readAll bool) (changes []registry.Change, err error) {
	err = s.write(ctx, func(ctx context.Context, w *writer) (err error) {
		base := s.base(readAll)
		base.Compared = o.Compared
		if changes, err = base.Plan(ctx, name, data, o.Prune); err != nil || len(changes) == 0 {
			return err
		}
		ordered := inOrder(changes)
		puts, err := s.putsOf(ordered)
		if err != nil {
			return err
		}
		w.progress = o.Written
		if err = w.commit(ctx, puts); err != nil && w.written > 0 {
			err = &PartlyAppliedError{Written: ordered[:w.written], Total: len(ordered), Err: err}
		}
		return err
	})
	return changes, err
}

// base returns what is stored now. Without readAll, a removal that has to read all clients of a large registry fails; see
// removing.
func (s *Store) base(readAll bool) registry.Base {
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
		Users: func(ctx context.Context, removed registry.Removed) iter.Seq2[string, error] {
			return s.users(ctx, removed, readAll)
		},
		Holders: s.holders,
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

// inOrder orders changes so that a concurrent reader finds what grants name: resources are stored first and deleted last.
func inOrder(changes []registry.Change) []registry.Change {
	var first, last []registry.Change
	for _, c := range changes {
		if c.Kind == "resource" && c.Action() == "delete" {
			last = append(last, c)
		} else {
			first = append(first, c)
		}
	}
	return append(first, last...)
}

func (s *Store) putsOf(changes []registry.Change) ([]put, error) {
	puts := make([]put, 0, len(changes))
	for _, c := range changes {
		p, err := s.putOf(c)
		if err != nil {
			return nil, err
		}
		puts = append(puts, p)
	}
	return puts, nil
}
