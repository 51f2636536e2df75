package store

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// SetNow sets the clock of a store.
func (s *Store) SetNow(now func() time.Time) { s.now = now }

// LookUp calls the storage as for a caller that named a client in memory and gave a wrong secret.
func (s *Store) LookUp(ctx context.Context, inMemory *registry.Client) error {
	_, err := s.lookUp(ctx, inMemory.ID, inMemory.ID, inMemory)
	return err
}

// SetIndexing sets how many clients a registry without an index has at most, and how many a page of the index has. Nothing
// happens in the background.
func (s *Store) SetIndexing(from, pageSize int) {
	s.indexFrom, s.pageSize = from, pageSize
	s.nextBuild.Store(math.MaxInt64)
	s.nextCheck.Store(math.MaxInt64)
}

// IndexInBackground lets lists make and check the index again.
func (s *Store) IndexInBackground() {
	s.nextBuild.Store(0)
	s.nextCheck.Store(0)
}

// BuildIndex makes an index if there is none that can be used.
func (s *Store) BuildIndex(ctx context.Context) error {
	_, damaged, err := s.indexedIDs(ctx, "", "", -1)
	if errors.Is(err, errNoIndex) {
		return s.buildIndex(ctx, damaged)
	}
	return err
}

// HasIndex reports whether there is an index that can be used.
func (s *Store) HasIndex(ctx context.Context) bool {
	_, _, err := s.indexedIDs(ctx, "", "", -1)
	return err == nil
}

// CheckUnused checks changes with the index, or by reading all clients.
func (s *Store) CheckUnused(ctx context.Context, changes []registry.Change, indexed bool) error {
	base := s.base(true)
	if !indexed {
		base.Users = nil
	}
	return base.CheckUnused(ctx, changes, nil)
}
