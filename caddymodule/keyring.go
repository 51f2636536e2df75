package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// How long keys are waited for, how long a failure is remembered before storage is asked again, and how often
// and how long a key is looked for that is not known.
const (
	keyLoadTimeout   = 15 * time.Second
	keyRetryAfter    = time.Second
	keySearchFloor   = 2 * time.Second
	keySearchTimeout = 3 * time.Second
	jwksMaxAge       = 5 * time.Minute
	jwksContentType  = "application/jwk-set+json"
)

// keyring holds an issuer's signing keys. Their truth is Caddy's storage; they are loaded on first use, because
// handlers may serve before the app has started, and looked at again and again from then on.
type keyring struct {
	storage certmagic.Storage
	prefix  string
	alg     token.Alg
	times   keyTimes
	seal    *keySeal
	logger  *zap.Logger
	now     func() time.Time

	busy      sync.Mutex // held by whoever reads or changes storage
	loading   singleflight.Group
	loaded    atomic.Pointer[keys]
	failure   atomic.Pointer[keyFailure]
	problem   atomic.Pointer[keyProblem]
	searched  atomic.Int64
	searching atomic.Bool
}

type keyFailure struct {
	err error
	at  time.Time
}

// keyProblem is what was wrong at the last look; away is that storage could not be read at all.
type keyProblem struct {
	text string
	away bool
}

func newKeyring(storage certmagic.Storage, issuer string, alg token.Alg, times keyTimes, seal *keySeal, logger *zap.Logger) *keyring {
	return &keyring{
		storage: storage, prefix: path.Join("m2m", storageName(issuer), "keys"), alg: alg,
		times: times, seal: seal, logger: logger, now: time.Now,
	}
}

// storageName is a readable name for an issuer that no other issuer has, for Safe drops
// characters that tell URLs apart.
func storageName(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	_, rest, _ := strings.Cut(issuer, "://")
	return certmagic.StorageKeys.Safe(strings.ReplaceAll(rest, "/", "_")) + "-" + hex.EncodeToString(sum[:4])
}

// current is the loaded keys. The first call loads them, and makes a signing key where storage has
// none for the configured algorithm. On failure it returns why; the next call but a second later
// tries again.
func (k *keyring) current(ctx context.Context) (*keys, error) {
	if loaded := k.loaded.Load(); loaded != nil {
		return loaded, nil
	}
	if failure := k.failure.Load(); failure != nil && time.Since(failure.at) < keyRetryAfter {
		return nil, failure.err
	}
	return poll.Shared(ctx, &k.loading, "load", k.load)
}

func (k *keyring) load(ctx context.Context) (*keys, error) {
	_, err := k.refresh(ctx, true)
	if loaded := k.loaded.Load(); loaded != nil {
		return loaded, nil
	}
	if err == nil {
		err = errNoSigner
	}
	err = fmt.Errorf("loading signing keys: %w", err)
	k.failure.Store(&keyFailure{err: err, at: time.Now()})
	k.logger.Error("signing keys cannot be loaded", zap.Error(err)) // once per keyRetryAfter, however many ask
	return nil, err
}

var errNoSigner = errors.New("there is no key to sign with")

// signer is the key that signs now. It takes no lock and asks no storage, once keys are loaded.
func (k *keyring) signer(ctx context.Context) (*token.SigningKey, error) {
	keys, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	signer := signerAt(keys.all, k.alg, k.now())
	if signer == nil {
		return nil, errNoSigner
	}
	return signer.SigningKey, nil
}

// keySet is the published keys. Where kid is none of them, storage is looked at again before that is said, for
// another node may just have made it; not more often than keySearchFloor, whatever strangers send. While storage
// is away it cannot be told, nor of a key whose object is damaged, and that is an error.
func (k *keyring) keySet(ctx context.Context, kid string) (*token.KeySet, error) {
	return k.find(ctx, kid, keySearchFloor)
}

// keySetNow is keySet for who has authenticated: storage is looked at however lately it was.
func (k *keyring) keySetNow(ctx context.Context, kid string) (*token.KeySet, error) {
	return k.find(ctx, kid, 0)
}

func (k *keyring) find(ctx context.Context, kid string, floor time.Duration) (*token.KeySet, error) {
	keys, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	if keys.public.Has(kid) {
		return keys.public, nil
	}
	if key := keys.key(kid); key != nil && key.revoked != nil { // and stays so
		return keys.public, nil
	}
	err = k.search(ctx, floor)
	keys = k.loaded.Load()
	switch problem := k.problem.Load(); {
	case keys.public.Has(kid):
	case err != nil:
		return nil, err
	case problem != nil && problem.away:
		return nil, errors.New(problem.text)
	case slices.Contains(keys.broken, k.nameOf(kid)) && keys.key(kid) == nil:
		return nil, fmt.Errorf("%s is damaged", k.nameOf(kid))
	}
	return keys.public, nil
}

// search looks at storage again, unless somebody has just done so. It fails when that takes too long, also for those
// that come while it is under way.
func (k *keyring) search(ctx context.Context, floor time.Duration) error {
	if k.now().UnixNano()-k.searched.Load() < int64(floor) && !k.searching.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, keySearchTimeout)
	defer cancel()
	_, err := poll.Shared(ctx, &k.loading, "search after "+floor.String(), func(ctx context.Context) (none struct{}, _ error) {
		k.searching.Store(true)
		defer k.searching.Store(false)
		if now := k.now().UnixNano(); now-k.searched.Load() >= int64(floor) {
			k.searched.Store(now)
			_, _ = k.refresh(ctx, false)
		}
		return none, nil
	})
	if err != nil {
		return fmt.Errorf("looking for the key: %w", err)
	}
	return nil
}
