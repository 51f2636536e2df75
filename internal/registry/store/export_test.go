package store

import (
	"context"
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
