package discovery

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultStaleFor is how long a key set is used past its age while it cannot be fetched.
const DefaultStaleFor = 24 * time.Hour

// RefetchFloor is the least time between two fetches for an unknown key ID, so that tokens with random IDs cannot flood
// the issuer.
const RefetchFloor = 30 * time.Second

// After a failed fetch, the next one waits for firstBackoff, then twice as long each time.
const (
	firstBackoff = time.Second
	maxBackoff   = RefetchFloor
)

// ErrClosed is the error of Get after Close, or after the end of the context given to NewKeys.
var ErrClosed = errors.New("key cache is closed")

// Config says whose keys to fetch, and how to read them.
type Config[T any] struct {
	// Source is where they are. Its Check must have accepted it.
	Source
	// Client fetches. Its redirect policy and cookie jar are not used. Default: http.DefaultTransport is used.
	Client *http.Client
	// Parse reads a JWKS document (RFC 7517 §5). After an error the previous key set stays.
	Parse func(jwks []byte) (T, error)
	// Has reports whether a key set has the key.
	Has func(keys T, kid string) bool
	// OnFetch is called after every fetch, on a goroutine of the cache, with its error or nil. Those who wait for the
	// fetch go on after it, so what it logs stands before the answers that the fetch caused. It must not call methods of
	// the cache. Default: nothing is called.
	OnFetch func(error)
	// OnMetadata is called in the same way after every discovery that succeeds, and after every one that fails while
	// the location of the keys is known. The keys are then fetched from that location. Other failures are passed to
	// OnFetch.
	OnMetadata func(error)
}

// Keys caches an issuer's key set. It fetches the set on first use, and in the background once the set is past its age.
// For a key ID that the set does not have it fetches at once, but not more often than RefetchFloor. It is safe for
// concurrent use.
type Keys[T any] struct {
	cfg    Config[T]
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	source   source // used only by the fetch in flight, without the mutex
	metadata atomic.Pointer[Metadata]

	mu       sync.Mutex
	current  *entry[T]     // the last good key set, or nil
	flight   chan struct{} // closed when the fetch in flight ends; nil if there is none
	lastErr  error         // of the last fetch
	backoff  time.Duration // the last wait after a failure; 0 after a success
	retryAt  time.Time     // no fetch before this time
	searchAt time.Time     // no fetch for an unknown key ID before this time
}

// entry is a good key set. It does not change.
type entry[T any] struct {
	keys       T
	fetched    time.Time
	freshUntil time.Time
}

// usable reports whether there is a key set that is not too old.
func (e *entry[T]) usable(now time.Time, staleFor time.Duration) bool {
	return e != nil && !now.After(e.freshUntil.Add(staleFor))
}

// NewKeys returns an empty cache. It starts no goroutine. The end of ctx, or Close, ends the goroutines that Get
// starts.
func NewKeys[T any](ctx context.Context, cfg Config[T]) *Keys[T] {
	ctx, cancel := context.WithCancel(ctx)
	return &Keys[T]{cfg: cfg, ctx: ctx, cancel: cancel}
}

// Close cancels the fetch in flight, waits for its end, and makes every Get fail. It may be called twice.
func (k *Keys[T]) Close() {
	k.mu.Lock()
	k.cancel()
	k.mu.Unlock()
	k.wg.Wait()
}

// Get returns the issuer's key set. If the set does not have kid, the issuer does not have the key; an error means that
// this is not known. A set may be used for staleFor past its age while no fetch succeeds. Get waits for a fetch only if
// there is no usable set, if the set does not have kid, or if it is long past its age and was not used meanwhile. If ctx
// ends, Get returns, and the fetch continues.
func (k *Keys[T]) Get(ctx context.Context, kid string, staleFor time.Duration) (T, error) {
	return k.get(ctx, kid, staleFor, false)
}

// Find is like Get, with DefaultStaleFor, for a key ID that the issuer itself uses in another document. RefetchFloor does
// not delay it.
func (k *Keys[T]) Find(ctx context.Context, kid string) (T, error) {
	return k.get(ctx, kid, DefaultStaleFor, true)
}

func (k *Keys[T]) get(ctx context.Context, kid string, staleFor time.Duration, named bool) (T, error) {
	keys, flight, err := k.lookUp(kid, staleFor, named, time.Now())
	if flight == nil {
		return keys, err
	}
	select {
	case <-flight:
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
	return k.afterFetch(kid, staleFor, time.Now())
}

// lookUp returns the key set, or the fetch to wait for. It starts a fetch that is due. A key ID is named if the issuer
// used it, and not only the sender of a token.
func (k *Keys[T]) lookUp(kid string, staleFor time.Duration, named bool, now time.Time) (T, <-chan struct{}, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var none T
	if k.ctx.Err() != nil {
		return none, nil, ErrClosed
	}
	e := k.current
	if !e.usable(now, staleFor) {
		if k.flight == nil && now.Before(k.retryAt) {
			return none, nil, k.lastErr
		}
		return none, k.start(), nil
	}
	if now.After(e.freshUntil) && !now.Before(k.retryAt) {
		k.start()
	}
	if k.cfg.Has(e.keys, kid) {
		return e.keys, k.overdue(e, now), nil
	}
	if flight := k.search(named, now); flight != nil {
		return none, flight, nil
	}
	keys, err := k.known(e, kid)
	return keys, nil, err
}

// overdue returns the fetch to wait for if the set is long past its age and was not used since: the issuer may have
// withdrawn the key meanwhile. If the issuer does not answer, callers wait only once.
func (k *Keys[T]) overdue(e *entry[T], now time.Time) <-chan struct{} {
	if k.lastErr == nil && now.After(e.freshUntil.Add(DefaultAge)) {
		return k.flight
	}
	return nil
}

// known returns the key set, unless the last fetch failed and the key may be a new one.
func (k *Keys[T]) known(e *entry[T], kid string) (keys T, err error) {
	if k.lastErr != nil && !k.cfg.Has(e.keys, kid) {
		return keys, k.lastErr
	}
	return e.keys, nil
}

// search returns the fetch that may bring an unknown key, or nil if none is due.
func (k *Keys[T]) search(named bool, now time.Time) <-chan struct{} {
	if k.flight == nil && (!named && now.Before(k.searchAt) || now.Before(k.retryAt)) {
		return nil
	}
	k.searchAt = now.Add(RefetchFloor)
	return k.start()
}

// afterFetch returns what lookUp returns after a fetch.
func (k *Keys[T]) afterFetch(kid string, staleFor time.Duration, now time.Time) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e := k.current; e.usable(now, staleFor) {
		return k.known(e, kid)
	}
	var none T
	if k.lastErr == nil {
		return none, ErrClosed
	}
	return none, k.lastErr
}

// start starts a fetch unless one is in flight. The mutex is held.
func (k *Keys[T]) start() <-chan struct{} {
	if k.flight == nil {
		k.flight = make(chan struct{})
		k.wg.Go(k.fetch)
	}
	return k.flight
}

func (k *Keys[T]) fetch() {
	ctx, cancel := context.WithTimeout(k.ctx, Timeout)
	defer cancel()
	e, err := k.load(ctx)
	if k.cfg.OnFetch != nil {
		k.cfg.OnFetch(err)
	}
	k.finish(e, err, time.Now())
}

// finish stores the outcome of a fetch. After a failure the previous key set stays.
func (k *Keys[T]) finish(e *entry[T], err error, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.flight)
	k.flight, k.lastErr = nil, err
	if err != nil {
		k.backoff = min(max(2*k.backoff, firstBackoff), maxBackoff)
		k.retryAt = now.Add(k.backoff)
		return
	}
	k.current, k.backoff = e, 0
}

// Status is the state of a cache.
type Status[T any] struct {
	// Keys is the last key set, however old, or the zero value if there is none.
	Keys T
	// Fetched is when the issuer last sent or confirmed the key set, or zero.
	Fetched time.Time
	// StaleAfter is when the key set is past its age. It is then used only while no fetch succeeds.
	StaleAfter time.Time
	// Err is the error of the last fetch. It is nil if that succeeded, or if there was none.
	Err error
}

// Status returns the current state. It causes no fetch.
func (k *Keys[T]) Status() Status[T] {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := Status[T]{Err: k.lastErr}
	if e := k.current; e != nil {
		s.Keys, s.Fetched, s.StaleAfter = e.keys, e.fetched, e.freshUntil
	}
	return s
}

// Usable reports whether Get would return a key set without waiting.
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
