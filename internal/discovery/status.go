package discovery

import "time"

// Status is the state of a cache.
type Status struct {
	// Fetched is when the issuer last sent or confirmed the key set, or zero.
	Fetched time.Time
	// StaleAfter is when the key set is past its age. It is then used only while no fetch succeeds.
	StaleAfter time.Time
	// Err is the error of the last fetch. It is nil if that succeeded, or if there was none.
	Err error
}

// Status returns the current state. It causes no fetch.
func (k *Keys[T]) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := Status{Err: k.lastErr}
	if k.current != nil {
		s.Fetched, s.StaleAfter = k.current.fetched, k.current.freshUntil
	}
	return s
}

// Known returns the last key set, however old, if there is one.
func (k *Keys[T]) Known() (keys T, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current != nil {
		keys = k.current.keys
	}
	return keys, k.current != nil
}

// Usable reports whether GetStale would return a key set without waiting.
func (k *Keys[T]) Usable(staleFor time.Duration) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ctx.Err() == nil && k.current.usable(time.Now(), staleFor)
}

// Refresh starts a fetch if there is no key set or if it is past its age, except during the wait after a failure. It
// does not wait for the fetch. Callers that call it regularly have keys before the first request needs them.
func (k *Keys[T]) Refresh() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.ctx.Err() == nil && !now.Before(k.retryAt) && !k.current.usable(now, 0) {
		k.start()
	}
}

// Metadata returns the issuer's last metadata, or nil before the first discovery succeeds. The caller must not change
// it.
func (k *Keys[T]) Metadata() *Metadata { return k.metadata.Load() }
