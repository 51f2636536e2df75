package store

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// indexTries is how often a reader begins again because the index that it was reading has been replaced twice meanwhile.
const indexTries = 10

// indexMemory keeps the root and the page that lists read last. Objects of the index never change.
type indexMemory struct {
	root atomic.Pointer[keptObject[*index]]
	page atomic.Pointer[keptObject[[]entry]]
}

type keptObject[T any] struct {
	name   string
	object T
}

// kept returns the object that is kept if it has that name, and otherwise loads and keeps it.
func kept[T any](in *atomic.Pointer[keptObject[T]], name string, load func() (T, error)) (T, error) {
	if k := in.Load(); k != nil && k.name == name {
		return k.object, nil
	}
	object, err := load()
	if err == nil {
		in.Store(&keptObject[T]{name, object})
	}
	return object, err
}

func (m *indexMemory) loadIndex(ctx context.Context, s *Store, name string) (*index, error) {
	load := func() (*index, error) { return s.loadIndex(ctx, name) }
	if m == nil {
		return load()
	}
	return kept(&m.root, name, load)
}

func (m *indexMemory) loadPage(ctx context.Context, s *Store, ref pageRef) ([]entry, error) {
	load := func() ([]entry, error) { return s.loadPage(ctx, ref) }
	if m == nil {
		return load()
	}
	return kept(&m.page, ref.Name, load)
}

// indexView is the index that a journal names.
type indexView struct {
	store   *Store
	memory  *indexMemory // nil reads everything from storage
	root    *index
	pending []string // sorted ids of clients whose entries may be wrong
}

// withIndex calls use with the index, and again if the index is replaced meanwhile. It returns errNoIndex, and the name of
// an index that is damaged, if there is none that can be used.
func (s *Store) withIndex(ctx context.Context, memory *indexMemory, use func(*indexView) error) (damaged string, err error) {
	last := ""
	for range indexTries {
		j, err := s.loadJournal(ctx)
		switch {
		case errors.Is(err, registry.ErrBroken):
			return "", errNoIndex
		case err != nil:
			return "", err
		case !j.hasIndex():
			return "", errNoIndex
		case j.Index == last: // it was not replaced
			return last, errNoIndex
		}
		last = j.Index
		v := &indexView{store: s, memory: memory, pending: j.pendingClients()}
		if v.root, err = memory.loadIndex(ctx, s, j.Index); err == nil {
			err = use(v)
		}
		if !errors.Is(err, errNoIndex) {
			return "", err
		}
	}
	return "", errNoIndex
}

// listed is an id of an index. It is unsure if the client may have been created, changed or deleted since.
type listed struct {
	id     string
	unsure bool
}

// ids iterates over the ids after an id, in order. If removed is not nil, it leaves out clients whose grants that does not
// concern. The walk ends after the ids that begin with the prefix.
func (v *indexView) ids(ctx context.Context, prefix, after string, removed *registry.Removed) iter.Seq2[listed, error] {
	return func(yield func(listed, error) bool) {
		from := max(prefix, after)
		start, _ := slices.BinarySearch(v.pending, from)
		pending := slices.DeleteFunc(slices.Clone(v.pending[start:]), func(id string) bool { return id == after || !strings.HasPrefix(id, prefix) })
		for e, err := range v.entries(ctx, from, removed) {
			if err != nil {
				yield(listed{}, err)
				return
			}
			for len(pending) > 0 && pending[0] < e.id {
				if !yield(listed{pending[0], true}, nil) {
					return
				}
				pending = pending[1:]
			}
			switch {
			case !strings.HasPrefix(e.id, prefix):
				return // pending is empty: its ids are smaller
			case e.id == after, len(pending) > 0 && pending[0] == e.id: // the pending one comes before the next entry
			case removed != nil && !e.names.concern(*removed):
			case !yield(listed{e.id, false}, nil):
				return
			}
		}
		for _, id := range pending {
			if !yield(listed{id, true}, nil) {
				return
			}
		}
	}
}

// entries iterates over the entries from an id on. If removed is not nil, it leaves out pages that do not concern it.
func (v *indexView) entries(ctx context.Context, from string, removed *registry.Removed) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for n := v.root.pageOf(from); n < len(v.root.Pages); n++ {
			ref := v.root.Pages[n]
			if removed != nil && !digest(ref.Digest).concern(*removed) {
				continue
			}
			entries, err := v.memory.loadPage(ctx, v.store, ref)
			if err != nil {
				yield(entry{}, err)
				return
			}
			for _, e := range entries {
				if e.id >= from && !yield(e, nil) {
					return
				}
			}
		}
	}
}

// indexedIDs returns what ClientIDs does, from the index.
func (s *Store) indexedIDs(ctx context.Context, prefix, after string, limit int) (page []string, damaged string, err error) {
	damaged, err = s.withIndex(ctx, &s.indexMemory, func(v *indexView) error {
		page = []string{}
		for f, err := range v.ids(ctx, prefix, after, nil) {
			there := err == nil
			if f.unsure {
				there, err = s.hasClient(ctx, f.id)
			}
			if err != nil {
				return err
			}
			if there {
				page = append(page, f.id)
			}
			if len(page) == limit {
				break
			}
		}
		return nil
	})
	return page, damaged, err
}

// hasClient reports whether a client is stored, also if its object is broken.
func (s *Store) hasClient(ctx context.Context, id string) (bool, error) {
	name, err := clientName(id)
	if err != nil {
		return false, nil
	}
	client, err := s.readClient(ctx, name, id)
	if errors.Is(err, registry.ErrBroken) {
		return true, nil
	}
	return client != nil, err
}

// users iterates over the ids of the clients that may have grants that the removal concerns, sorted. Without an index it
// is all clients. If these are many and readAll is not set, the error is an *indexWantedError.
func (s *Store) users(ctx context.Context, removed registry.Removed, readAll bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		last, stopped := "", false
		next := func(id string) bool {
			last, stopped = id, !yield(id, nil)
			return !stopped
		}
		damaged, err := s.withIndex(ctx, nil, func(v *indexView) error {
			for f, err := range v.ids(ctx, "", last, &removed) {
				if err != nil || !next(f.id) {
					return err
				}
			}
			return nil
		})
		if stopped || err == nil {
			return
		}
		var ids []string
		if errors.Is(err, errNoIndex) {
			ids, err = s.storedIDs(ctx)
		}
		if err == nil && len(ids) > s.indexFrom && !readAll {
			err = &indexWantedError{damaged}
		}
		if err != nil {
			yield("", err)
			return
		}
		for _, id := range registry.PageOfIDs(ids, "", last, 0) {
			if !next(id) {
				return
			}
		}
	}
}

// indexWantedError is the error about a removal that would have to read all clients of a large registry. An index that the
// journal names is damaged, if it is not "".
type indexWantedError struct{ damaged string }

func (*indexWantedError) Error() string { return "the registry is large and has no index" }
