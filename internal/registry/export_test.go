package registry

import (
	"context"
	"time"
)

// SetNow sets the clock of a store.
func (s *Store) SetNow(now func() time.Time) { s.now = now }

// LookUp asks the storage for a caller who found a client in memory and has not proved to be it.
func (s *Store) LookUp(ctx context.Context, inMemory *Client) error {
	_, err := s.lookUp(ctx, inMemory.ID, inMemory.ID, inMemory)
	return err
}
