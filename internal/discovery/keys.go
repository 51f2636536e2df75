package discovery

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultStaleFor is how long a key set is used past its age while it cannot be fetched anew.
const DefaultStaleFor = 24 * time.Hour

// RefetchFloor is the least time between two fetches that an unknown key id causes, so that
// tokens with random ones cannot flood the issuer.
const RefetchFloor = 30 * time.Second

// After a failed fetch the next one waits: firstBackoff, then twice as long each time.
const (
	firstBackoff = time.Second
	maxBackoff   = RefetchFloor
)

// ErrClosed is the error of Get after Close, or after the end of the context given to NewKeys.
var ErrClosed = errors.New("key cache is closed")

// Config says whose keys to keep, and how to read them.
type Config[T any] struct {
	// Issuer is the issuer's URL, from which its keys are found by Fetch.
	Issuer string
	// JWKSOrigins are origins, besides the issuer's own, on which its jwks_uri may be. CheckOrigin must have
	// accepted them.
	JWKSOrigins []string
	// Client fetches; nil is a client of its own. Its redirect policy and cookie jar are not used.
	Client *http.Client
	// Parse reads a JWKS document (RFC 7517 §5). What it refuses does not replace what there is.
	Parse func(jwks []byte) (T, error)
	// Has reports whether a key set has the key.
	Has func(keys T, kid string) bool
	// StaleFor is how long a key set may be used past its age while no fetch succeeds;
	// DefaultStaleFor when it is 0.
	StaleFor time.Duration
	// OnFetch, unless nil, is told of every fetch, on a goroutine of the cache: why it failed, or nil if it
	// worked. It must not call Close.
	OnFetch func(error)
	// OnMetadata, unless nil, is told in the same way of every discovery that worked, and of every one that
	// failed while the place of the keys is known. The keys are then fetched from that place. OnFetch is told
	// of the other failures.
	OnMetadata func(error)
}

// Keys caches an issuer's key set. It fetches on first use, then in the background once the set
// is past its age, and at once, though not more often than RefetchFloor, for a key id that the set
// does not have. It is safe for concurrent use.
type Keys[T any] struct {
	cfg    Config[T]
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	source   source // of the one fetch in flight alone, which takes no lock for it
	metadata atomic.Pointer[Metadata]

	mu       sync.Mutex
	current  *entry[T]     // the last good key set; nil before there is one
	flight   chan struct{} // closed when the fetch in flight has ended; nil when there is none
	lastErr  error         // of the last fetch; nil when it succeeded
	backoff  time.Duration // the last wait after a failure; 0 after a success
	retryAt  time.Time     // no fetch before
	searchAt time.Time     // no fetch for an unknown key id before
}

// entry is one good key set, never changed once it is made.
type entry[T any] struct {
	keys       T
	fetched    time.Time
	freshUntil time.Time
}

// usable reports whether the key set is not too old; nil is none.
func (e *entry[T]) usable(now time.Time, staleFor time.Duration) bool {
	return e != nil && !now.After(e.freshUntil.Add(staleFor))
}

// NewKeys makes an empty cache. It starts nothing; the end of ctx, or Close, ends what Get starts.
func NewKeys[T any](ctx context.Context, cfg Config[T]) *Keys[T] {
	if cfg.StaleFor == 0 {
		cfg.StaleFor = DefaultStaleFor
	}
	ctx, cancel := context.WithCancel(ctx)
	return &Keys[T]{cfg: cfg, ctx: ctx, cancel: cancel}
}

// Close ends a fetch in flight, waits for it, and makes every Get fail. It may be called twice.
func (k *Keys[T]) Close() {
	k.mu.Lock()
	k.cancel()
	k.mu.Unlock()
	k.wg.Wait()
}

// Get is the issuer's key set, which has kid if the issuer's last answer had it: a set without kid
// means that the key is unknown, an error that it cannot be told. Get waits for a fetch only when
// there is no usable set, none with kid, or one that nobody has asked for long past its age; ctx ends
// its waiting, not the fetch.
func (k *Keys[T]) Get(ctx context.Context, kid string) (T, error) {
	return k.GetStale(ctx, kid, k.cfg.StaleFor)
}

// Find is Get for a key id that the issuer itself has named, in what else it publishes. RefetchFloor, which is for
// those of strangers, does not keep it waiting.
func (k *Keys[T]) Find(ctx context.Context, kid string) (T, error) {
	return k.get(ctx, kid, k.cfg.StaleFor, true)
}

// GetStale is Get with another bound than Config.StaleFor, so that callers of different patience
// share one cache.
func (k *Keys[T]) GetStale(ctx context.Context, kid string, staleFor time.Duration) (T, error) {
	return k.get(ctx, kid, staleFor, false)
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

// look is the key set, or the fetch to wait for. It starts the fetch when one is due. The key id is named when it is not
// a stranger's word.
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

// overdue is the fetch to wait for when the set's age was over long ago and nobody has asked since: the issuer may have
// withdrawn the key meanwhile. Nobody waits again for an issuer that does not answer.
func (k *Keys[T]) overdue(e *entry[T], now time.Time) <-chan struct{} {
	if k.lastErr == nil && now.After(e.freshUntil.Add(DefaultAge)) {
		return k.flight
	}
	return nil
}

// known is the key set, unless the key may be among those that the last fetch did not get.
func (k *Keys[T]) known(e *entry[T], kid string) (keys T, err error) {
	if k.lastErr != nil && !k.cfg.Has(e.keys, kid) {
		return keys, k.lastErr
	}
	return e.keys, nil
}

// search is the fetch that may bring an unknown key; nil when none is due.
func (k *Keys[T]) search(named bool, now time.Time) <-chan struct{} {
	if k.flight == nil && (!named && now.Before(k.searchAt) || now.Before(k.retryAt)) {
		return nil
	}
	k.searchAt = now.Add(RefetchFloor)
	return k.start()
}

// settled is what look has after a fetch.
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

// start starts a fetch unless one is in flight. The lock is held.
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
	k.finish(e, err, time.Now())
	if k.cfg.OnFetch != nil {
		k.cfg.OnFetch(err)
	}
}

// settle takes the outcome of a fetch over. A failure leaves the last good key set where it is.
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
