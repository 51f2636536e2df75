package store

import (
	"context"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// SetNow sets the clock of a store.
func (s *Store) SetNow(now func() time.Time) { s.now = now }

// LookUp asks the storage for a caller who found a client in memory and has not proved to be it.
func (s *Store) LookUp(ctx context.Context, inMemory *registry.Client) error {
	_, err := s.lookUp(ctx, inMemory.ID, inMemory.ID, inMemory)
	return err
}
