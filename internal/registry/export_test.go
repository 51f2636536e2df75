package registry

import "time"

// SetNow sets the clock of a store.
func (s *Store) SetNow(now func() time.Time) { s.now = now }
