package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// writer makes one change. It holds the registry's lock, and this node has followed the changes of all others.
type writer struct {
	store   *Store
	journal *journal
	changed []string // the keys that are being changed

	written  int                   // how many puts are stored
	progress func(done, total int) // may be nil
}

// put is a record to store, or to delete if it has no entry.
type put struct {
	key, label, id string
	entry          json.Marshaler // nil deletes
	before         any            // the entry that it replaces, or nil
}

func (s *Store) putOf(c registry.Change) (put, error) {
	name, err := recordName(c.ID)
	if err != nil {
		return put{}, err
	}
	p := put{key: s.clientKey(name), label: clientLabel(c.ID), id: c.ID, before: c.Before}
	if c.Kind == "resource" {
		p.key, p.label = s.resourceKey(name), resourceLabel(c.ID)
	}
	p.entry, _ = c.After.(json.Marshaler)
	return p, nil
}

// write makes a change while no other change is under way. It reports to OnFault that the storage refused the change.
func (s *Store) write(ctx context.Context, change func(context.Context, *writer) error) error {
	err := s.writeLocked(ctx, change)
	if errors.Is(err, registry.ErrUnavailable) {
		s.report("changing the registry", err)
	}
	if s.OnWrite != nil {
		s.OnWrite()
	}
	return err
}

func (s *Store) writeLocked(ctx context.Context, change func(context.Context, *writer) error) error {
	s.lock.mu.Lock()
	defer s.lock.mu.Unlock()
	if err := s.lock.acquire(ctx); err != nil {
		return err
	}
	defer s.lock.releaseLater()
	s.mu.Lock()
	defer s.mu.Unlock()
	j, err := s.loadJournal(ctx)
	if errors.Is(err, registry.ErrBroken) { // a new journal makes every node read everything again
		j, err = newJournalAfter(s.sequence.Load()), nil
	}
	if err != nil {
		return err
	}
	if _, err := s.follow(ctx, j); err != nil {
		return err
	}
	// The change is completed even if the caller leaves.
	return change(context.WithoutCancel(ctx), &writer{store: s, journal: j})
}

// Close ends what is done in the background, and releases the lock, so that other nodes can change the registry at once.
func (s *Store) Close() {
	s.endBackground()
	s.lock.mu.Lock()
	defer s.lock.mu.Unlock()
	s.lock.release(context.Background())
}

// commit stores records one after the other, each as a whole, between the two entries of the journal. If one fails, those
// before it remain. The second entry of the journal also names the index that has the changes.
func (w *writer) commit(ctx context.Context, puts []put) error {
	s := w.store
	all, err := s.withIdentities(ctx, puts)
	if err != nil {
		return err
	}
	for _, p := range all {
		w.changed = append(w.changed, p.key)
	}
	unfinished := w.journal.Pending // by writers that died or failed
	w.journal.begin(keysOf(w.changed))
	if err := s.storeJournal(ctx, w.journal); err != nil {
		return err
	}
	s.unfinished.Store(true)
	for _, p := range all {
		if err := w.apply(ctx, p); err != nil {
			return err
		}
		if s.isIdentityKey(p.key) {
			continue
		}
		if w.written++; w.progress != nil {
			w.progress(w.written, len(puts))
		}
	}
	former := w.reindex(ctx, puts, unfinished)
	w.journal.finish()
	if err := s.storeJournal(ctx, w.journal); err != nil {
		// The change is made, and every node reads its keys again for as long as they are pending. The next change, which
		// may be another node's, gets the same number. So this node must not count it yet, or it would miss that one.
		s.report("ending a change of the registry", err)
		return nil
	}
	s.sequence.Store(w.journal.Sequence)
	s.unfinished.Store(false)
	s.deleteIndexObjects(ctx, former)
	return nil
}

func (w *writer) apply(ctx context.Context, p put) error {
	s := w.store
	err := s.put(ctx, p)
	switch { // after an error, too: what is stored now is unknown
	case s.isIdentityKey(p.key):
		s.forgetIdentity(p.key)
		return err
	case !isResourceKey(p.key):
		s.forgetClient(p.id)
		return err
	}
	if err != nil {
		return errors.Join(err, s.readResources(ctx))
	}
	r, _ := p.entry.(*registry.Resource)
	s.resources.Store(s.resources.Load().With(p.id, r))
	return nil
}

func (s *Store) put(ctx context.Context, p put) error {
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
	return storeRecord(ctx, s.storage, p.key, p.label, entry)
}
