// Package keyring keeps an issuer's signing keys in storage and rotates them. Start with New. The state of a key follows
// from its times alone, see Times, so that all nodes with the same storage agree without talking to each other. The
// package imports the leaves token, oauth, envelope, folder and poll, but not Caddy.
package keyring

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

const (
	// LoadTimeout bounds reading or changing the keys in storage.
	LoadTimeout = 15 * time.Second
	// retryAfter is how long a failure to load the keys is remembered before storage is read again.
	retryAfter = time.Second
	// searchInterval is the shortest time between two searches for unknown keys, and searchTimeout bounds each.
	searchInterval = 2 * time.Second
	searchTimeout  = 3 * time.Second

	jwksContentType = "application/jwk-set+json"
)

// Ring holds the signing keys of an issuer. It loads them from storage on first use, because handlers may serve before
// the app has started. It is safe for concurrent use.
type Ring struct {
	storage certmagic.Storage
	folder  string
	lock    string
	alg     token.Alg
	times   Times
	seal    *Seal
	logger  *zap.Logger
	now     func() time.Time

	mu        sync.Mutex // held while storage is read or changed
	loading   singleflight.Group
	loaded    atomic.Pointer[Set]
	failure   atomic.Pointer[failure]
	problem   atomic.Pointer[problem]
	searched  atomic.Int64
	searching atomic.Bool
}

// failure is the last failure to load the keys.
type failure struct {
	err error
	at  time.Time
}

// problem is what was wrong when storage was last read.
type problem struct {
	text       string
	unreadable bool // storage could not be read at all
}

// New returns the keys that an issuer has below a folder of storage. A nil seal leaves private keys unencrypted.
func New(storage certmagic.Storage, issuerFolder string, alg token.Alg, times Times, seal *Seal, logger *zap.Logger) *Ring {
	return &Ring{
		storage: storage, folder: path.Join(issuerFolder, "keys"), lock: "m2m_" + path.Base(issuerFolder) + "_keys",
		alg: alg, times: times, seal: seal, logger: logger, now: time.Now,
	}
}

// Current returns the loaded keys. The first call loads them, and makes a signing key if storage has none for the
// configured algorithm. After a failure, calls within a second return the same error.
func (r *Ring) Current(ctx context.Context) (*Set, error) {
	if loaded := r.loaded.Load(); loaded != nil {
		return loaded, nil
	}
	if failure := r.failure.Load(); failure != nil && time.Since(failure.at) < retryAfter {
		return nil, failure.err
	}
	return poll.Shared(ctx, &r.loading, "load", r.load)
}

func (r *Ring) load(ctx context.Context) (*Set, error) {
	_, _, err := r.refresh(ctx, true)
	if loaded := r.loaded.Load(); loaded != nil {
		return loaded, nil
	}
	if err == nil {
		err = errNoSigner
	}
	err = fmt.Errorf("loading signing keys: %w", err)
	r.failure.Store(&failure{err: err, at: time.Now()})
	r.logger.Error("signing keys cannot be loaded", zap.Error(err)) // at most once per retryAfter
	return nil, err
}

var errNoSigner = errors.New("there is no key to sign with")

// Loaded returns the keys in memory, or nil if they have not been loaded yet. It does not read storage.
func (r *Ring) Loaded() *Set { return r.loaded.Load() }

// Signer returns the key that signs now. Once the keys are loaded it takes no lock and does not read storage.
func (r *Ring) Signer(ctx context.Context) (*token.SigningKey, error) {
	keys, err := r.Current(ctx)
	if err != nil {
		return nil, err
	}
	signer := signerAt(keys.all, r.alg, r.now())
	if signer == nil {
		return nil, errNoSigner
	}
	return signer.SigningKey, nil
}

// KeySet returns the published keys. If kid is unknown, KeySet reads storage first, because another node may have just
// made the key, but not more often than every searchInterval. It fails if storage cannot be read, or if the key's object
// is damaged: in both cases it is not known whether the key is good.
func (r *Ring) KeySet(ctx context.Context, kid string) (*token.KeySet, error) {
	return r.find(ctx, kid, searchInterval)
}

// KeySetNow is KeySet for authenticated callers: it reads storage for each unknown kid.
func (r *Ring) KeySetNow(ctx context.Context, kid string) (*token.KeySet, error) {
	return r.find(ctx, kid, 0)
}

func (r *Ring) find(ctx context.Context, kid string, interval time.Duration) (*token.KeySet, error) {
	keys, err := r.Current(ctx)
	if err != nil {
		return nil, err
	}
	if keys.Public.Has(kid) {
		return keys.Public, nil
	}
	if key := keys.key(kid); key != nil && key.revoked != nil { // a revocation is final
		return keys.Public, nil
	}
	err = r.search(ctx, interval)
	keys = r.loaded.Load()
	switch problem := r.problem.Load(); {
	case keys.Public.Has(kid):
	case err != nil:
		return nil, err
	case problem != nil && problem.unreadable:
		return nil, errors.New(problem.text)
	case slices.Contains(keys.broken, r.nameOf(kid)) && keys.key(kid) == nil:
		return nil, fmt.Errorf("%s is damaged", r.nameOf(kid))
	}
	return keys.Public, nil
}

// search reads storage again, unless that was done within the interval. It fails if that takes too long, also for callers
// that join a search under way.
func (r *Ring) search(ctx context.Context, interval time.Duration) error {
	if r.now().UnixNano()-r.searched.Load() < int64(interval) && !r.searching.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	_, err := poll.Shared(ctx, &r.loading, "search after "+interval.String(), func(ctx context.Context) (none struct{}, _ error) {
		r.searching.Store(true)
		defer r.searching.Store(false)
		if now := r.now().UnixNano(); now-r.searched.Load() >= int64(interval) {
			r.searched.Store(now)
			_ = r.Reload(ctx)
		}
		return none, nil
	})
	if err != nil {
		return fmt.Errorf("looking for the key: %w", err)
	}
	return nil
}
