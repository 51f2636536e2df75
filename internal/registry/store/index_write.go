package store

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// reindex stores the index with the puts, and with the clients that unfinished changes may have changed. It makes the
// journal name the new index, and returns the objects that no reader needs any longer. A change does not fail because of
// the index: if the index cannot be stored, the journal names none.
func (w *writer) reindex(ctx context.Context, puts []put, unfinished *keys) (former []string) {
	j := w.journal
	if j.Index == "" {
		return nil
	}
	if unfinished != nil && unfinished.All {
		j.Index = ""
		return nil
	}
	name, former, err := w.store.updateIndex(ctx, j.Index, puts, unfinished)
	if err != nil {
		w.store.report("changing the index of the clients", err)
		name, former = "", nil
	}
	j.Index = name
	return former
}

func (s *Store) updateIndex(ctx context.Context, name string, puts []put, unfinished *keys) (updated string, former []string, err error) {
	changes := make(map[string]names)
	if unfinished != nil {
		if err := s.readNames(ctx, clientsOf(*unfinished), changes); err != nil {
			return "", nil, err
		}
	}
	for _, p := range puts {
		if !isResourceKey(p.key) {
			p.addTo(changes)
		}
	}
	if len(changes) == 0 {
		return name, nil, nil
	}
	root, err := s.loadIndex(ctx, name)
	if err != nil {
		return "", nil, err
	}
	next, err := s.withChanges(ctx, root, changes)
	if err != nil {
		return "", nil, err
	}
	if next == root {
		return name, nil, nil
	}
	next.Replaced = append(next.Replaced, name)
	updated, err = s.storeIndexObject(ctx, next)
	return updated, root.Replaced, err
}

// addTo adds the names of the client that it stores, or nil if it deletes the client. It does nothing if the names are
// those of the client that it replaces.
func (p *put) addTo(changes map[string]names) {
	before, _ := p.before.(*registry.Client)
	after, _ := p.entry.(*registry.Client)
	switch {
	case after == nil:
		changes[p.id] = nil
	case before == nil || !slices.Equal(namesOf(before), namesOf(after)):
		changes[p.id] = namesOf(after)
	}
}

// readNames adds the names of stored clients, or nil for those that do not exist.
func (s *Store) readNames(ctx context.Context, ids []string, to map[string]names) error {
	for _, id := range ids {
		name, err := clientName(id)
		if err != nil {
			continue
		}
		client, err := s.readClient(ctx, name, id)
		switch {
		case errors.Is(err, registry.ErrBroken):
			to[id] = unknownNames
		case err != nil:
			return err
		case client == nil:
			to[id] = nil
		default:
			to[id] = namesOf(client)
		}
	}
	return nil
}

// withChanges stores the pages that the changes lead to, and returns their root, which it does not store. It returns the
// same root if nothing changes. Nil names delete an entry.
func (s *Store) withChanges(ctx context.Context, root *index, changes map[string]names) (*index, error) {
	next := &index{Count: root.Count, Sum: root.Sum}
	ids, kept := slices.Sorted(maps.Keys(changes)), 0
	for len(ids) > 0 {
		at := root.pageOf(ids[0])
		n := len(ids) // how many changes are of this page
		if at+1 < len(root.Pages) {
			n, _ = slices.BinarySearch(ids, root.Pages[at+1].First)
		}
		var before []entry
		if at < len(root.Pages) {
			var err error
			if before, err = s.loadPage(ctx, root.Pages[at]); err != nil {
				return nil, err
			}
		}
		if after := merged(before, ids[:n], changes); !slices.EqualFunc(before, after, entry.equal) {
			refs, err := s.storePages(ctx, after)
			if err != nil {
				return nil, err
			}
			next.Pages = append(append(next.Pages, root.Pages[kept:at]...), refs...)
			kept = min(at+1, len(root.Pages))
			if len(root.Pages) > at {
				next.Replaced = append(next.Replaced, root.Pages[at].Name)
			}
			next.count(before, -1)
			next.count(after, 1)
		}
		ids = ids[n:]
	}
	next.Pages = append(next.Pages, root.Pages[kept:]...)
	if len(next.Replaced) == 0 && len(next.Pages) == len(root.Pages) {
		return root, nil
	}
	return next, nil
}

func (e entry) equal(other entry) bool { return e.id == other.id && slices.Equal(e.names, other.names) }

// count adds entries to the count and the sum, or subtracts them.
func (x *index) count(entries []entry, sign int) {
	x.Count += sign * len(entries)
	for _, e := range entries {
		x.Sum ^= hash(e.id)
	}
}

// merged returns the entries with the changes of the ids. Both are sorted.
func merged(entries []entry, ids []string, changes map[string]names) []entry {
	after := make([]entry, 0, len(entries)+len(ids))
	for _, e := range entries {
		if _, changed := changes[e.id]; !changed {
			after = append(after, e)
		}
	}
	for _, id := range ids {
		if n := changes[id]; n != nil {
			after = append(after, entry{id, n})
		}
	}
	slices.SortFunc(after, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
	return after
}

func (s *Store) deleteIndexObjects(ctx context.Context, names []string) {
	for _, name := range names {
		if err := s.storage.Delete(ctx, s.indexKey(name)); err != nil {
			s.report("deleting a former part of the index of the clients", err)
			return // what is left does no harm, and goes with the next index
		}
	}
}
