package discovery

import "time"

// Status says how a cache fares.
type Status struct {
	// Fetched is when the issuer last gave or confirmed the key set; zero before it ever did.
	Fetched time.Time
	// StaleAfter is when the key set is past its age, and only kept while no fetch succeeds.
	StaleAfter time.Time
	// Err is why the last fetch failed; nil when it succeeded, or when there was none.
	Err error
}

// Status is that of now. It causes no fetch.
func (k *Keys[T]) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := Status{Err: k.lastErr}
	if k.current != nil {
		s.Fetched, s.StaleAfter = k.current.fetched, k.current.freshUntil
	}
	return s
}

// Known is the key set that was had last, however old, if there is one.
func (k *Keys[T]) Known() (keys T, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current != nil {
		keys = k.current.keys
	}
	return keys, k.current != nil
}

// Usable reports whether GetStale would have a key set without waiting.
func (k *Keys[T]) Usable(staleFor time.Duration) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ctx.Err() == nil && k.current.usable(time.Now(), staleFor)
}

// Refresh starts a fetch when there is no key set or it is past its age, unless a failure is still
// waited out. It waits for nothing. Who calls it every now and then has keys before anybody asks.
func (k *Keys[T]) Refresh() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.ctx.Err() == nil && !now.Before(k.retryAt) && !k.current.usable(now, 0) {
		k.start()
	}
}

// Metadata is what the issuer last said of itself; nil before the first fetch of keys has found it. It must not
// be changed.
func (k *Keys[T]) Metadata() *Metadata { return k.metadata.Load() }
