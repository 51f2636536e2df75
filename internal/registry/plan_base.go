package registry

import (
	"context"
	"slices"
)

// A store as the base of a plan.

func (s *Store) set() *resourceSet { return s.resources.Load() }

func (s *Store) stored(ctx context.Context, id string) (*Client, error) {
	name, err := clientName(id)
	if err != nil {
		return nil, err
	}
	return s.readClient(ctx, name, id)
}

// storedIDs leaves out objects that no store has made.
func (s *Store) storedIDs(ctx context.Context) ([]string, error) {
	ids, err := listIDs(ctx, s.storage, s.prefix+"/clients")
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { _, err := clientName(id); return err != nil })
	slices.Sort(ids)
	return ids, nil
}

func (s *Store) admit(c *Client, resources []*Resource) (*Client, error) {
	return s.checkClient(c.ID, nil, c, resources)
}

func (s *Store) admitResource(r *Resource) (*Resource, error) { return checkResource(r.Code, r) }

// The content of a file as the base of a plan: there are no rules but those of files.

func (s *Snapshot) set() *resourceSet { return newResourceSet(s.resources, nil) }

func (s *Snapshot) stored(_ context.Context, id string) (*Client, error) { return s.clients[id], nil }

func (s *Snapshot) storedIDs(ctx context.Context) ([]string, error) {
	return s.ClientIDs(ctx, "", "", 0)
}

func (s *Snapshot) admit(c *Client, _ []*Resource) (*Client, error) { return c, nil }

func (s *Snapshot) admitResource(r *Resource) (*Resource, error) { return r, nil }

// Plan is what taking a registry file in place of this one would change, as Store.Apply says it: with prune
// also what would be gone.
func (f *File) Plan(ctx context.Context, name string, data []byte, prune bool) ([]Change, error) {
	return planOnto(ctx, f.current.Load(), name, data, prune)
}
