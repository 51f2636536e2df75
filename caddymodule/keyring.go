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

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
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

	busy     sync.Mutex // held by whoever reads or changes storage
	loading  singleflight.Group
	loaded   atomic.Pointer[keys]
	failure  atomic.Pointer[keyFailure]
	problem  atomic.Pointer[keyProblem]
	searched atomic.Int64
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
	result := k.loading.DoChan("load", func() (any, error) {
		return k.load(context.WithoutCancel(ctx))
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*keys), nil
	}
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
	k.logger.Error("there are no keys", zap.Error(err)) // once per keyRetryAfter, however many ask
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
// is away it cannot be told, and that is an error.
func (k *keyring) keySet(ctx context.Context, kid string) (*token.KeySet, error) {
	keys, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	if keys.public.Has(kid) {
		return keys.public, nil
	}
	k.search(ctx)
	keys = k.loaded.Load()
	if problem := k.problem.Load(); problem != nil && problem.away && !keys.public.Has(kid) {
		return nil, errors.New(problem.text)
	}
	return keys.public, nil
}

func (k *keyring) search(ctx context.Context) {
	if k.now().UnixNano()-k.searched.Load() < int64(keySearchFloor) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, keySearchTimeout)
	defer cancel()
	done := k.loading.DoChan("search", func() (any, error) {
		if now := k.now().UnixNano(); now-k.searched.Load() >= int64(keySearchFloor) {
			k.searched.Store(now)
			_, _ = k.refresh(context.WithoutCancel(ctx), false)
		}
		return nil, nil
	})
	select {
	case <-ctx.Done():
	case <-done:
	}
}

// refresh reads the keys again, and takes them over if they have changed; with tend it does what is due, too.
// Whatever fails, the keys there are go on, and the next look tries again.
func (k *keyring) refresh(ctx context.Context, tend bool) (changed bool, err error) {
	k.busy.Lock()
	defer k.busy.Unlock()
	within, cancel := context.WithTimeout(ctx, keyLoadTimeout)
	defer cancel()
	changed, problem, err := k.look(within, tend)
	if ctx.Err() == nil { // else the config has ended, or the asker has gone
		k.note(problem)
	}
	return changed, err
}

func (k *keyring) look(ctx context.Context, tend bool) (changed bool, problem *keyProblem, err error) {
	found, err := k.read(ctx)
	if err != nil {
		return false, &keyProblem{err.Error(), true}, err
	}
	if tend && k.times.plan(found.keys, k.alg, k.now()).due() {
		tended, failed := k.tend(ctx)
		if failed == nil {
			found = tended
		}
		err = failed
	}
	changed = k.take(found)
	if err = errors.Join(err, found.err()); err != nil {
		return changed, &keyProblem{err.Error(), false}, err
	}
	return changed, nil, nil
}

// note keeps what is wrong, and logs it once for each new reason.
func (k *keyring) note(problem *keyProblem) {
	former := k.problem.Swap(problem)
	switch {
	case problem == nil && former != nil:
		k.logger.Info("signing keys are whole again")
	case problem != nil && (former == nil || former.text != problem.text) && k.loaded.Load() != nil:
		k.logger.Error("signing keys could not all be read or rotated, those that are loaded serve on", zap.String("error", problem.text))
	}
}

// take takes over what storage has, and reports whether that is something else. What is the same stays the same
// object, for doors remember tokens by it.
func (k *keyring) take(found *keyObjects) (changed bool) {
	fresh := k.snapshot(found.keys)
	former := k.loaded.Load()
	if former == nil && signerAt(fresh.all, k.alg, k.now()) == nil || former != nil && former.mark == fresh.mark {
		return false // there is no start without a key to sign with
	}
	k.loaded.Store(fresh)
	return true
}

// keys is what one look found; it does not change.
type keys struct {
	all    []*issuerKey // in the order in which they sign, also revoked ones
	public *token.KeySet
	jwks   *oauth.Document
	algs   []string // of the public keys, each once
	mark   string   // differs where anything of this does
}

func (s *keys) key(kid string) *issuerKey {
	if s == nil {
		return nil
	}
	for _, key := range s.all {
		if key.ID() == kid {
			return key
		}
	}
	return nil
}

func (k *keyring) snapshot(all []*issuerKey) *keys {
	now := k.now()
	var published []*token.SigningKey
	var mark strings.Builder
	for _, key := range all {
		end := k.times.until(all, key, k.alg, now)
		public := key.revoked == nil && (end.IsZero() || !now.After(end))
		if public {
			published = append(published, key.SigningKey)
		}
		fmt.Fprintf(&mark, "%s %x %t\n", key.ID(), sha256.Sum256(key.object), public)
	}
	set := token.NewKeySet(published...)
	return &keys{
		all: all, public: set, jwks: oauth.NewDocument(set.JWKS(), jwksContentType, k.times.maxAge),
		algs: algsOf(published), mark: mark.String(),
	}
}

// algsOf lists the algorithms of the keys, each once.
func algsOf(keys []*token.SigningKey) []string {
	algs := make([]string, len(keys))
	for n, key := range keys {
		algs[n] = string(key.Alg())
	}
	slices.Sort(algs)
	return slices.Compact(algs)
}

// joinSorted joins errors in the order of their texts, so that the same ones give the same text.
func joinSorted(errs []error) error {
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}
