package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
)

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

// write runs a change while nobody else changes the registry. That the storage refused it is told.
func (s *Store) write(ctx context.Context, change func(context.Context, *changing) error) error {
	err := s.writeLocked(ctx, change)
	if errors.Is(err, ErrUnavailable) {
		s.tell("changing the registry", err)
	}
	if s.OnWrite != nil {
		s.OnWrite()
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
		j, err = newJournalAfter(s.sequence.Load()), nil
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
	if err := s.storeJournal(ctx, w.journal); err != nil {
		// The change is made, and every node reads it again for as long as it is pending. Its number is that of the
		// next change, which may be another node's: whoever had counted it here would take that for this one.
		s.tell("ending a change of the registry", err)
		return nil
	}
	s.sequence.Store(w.journal.Sequence)
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
	label := clientLabel(p.id)
	if isResourceKey(p.key) {
		label = resourceLabel(p.id)
	}
	if err := s.storage.Store(ctx, p.key, envelope.Seal(label, entry)); err != nil {
		return unavailable("storing "+p.key, err)
	}
	return nil
}
