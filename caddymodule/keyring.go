package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// How long keys are waited for, and how long a failure is remembered before storage is asked again.
const (
	keyLoadTimeout  = 15 * time.Second
	keyRetryAfter   = time.Second
	jwksMaxAge      = 5 * time.Minute
	jwksContentType = "application/jwk-set+json"
)

// keyring holds an issuer's signing keys. Their truth is Caddy's storage; they are loaded once,
// on first use, because handlers may serve before the app has started.
type keyring struct {
	storage certmagic.Storage
	prefix  string
	alg     token.Alg
	logger  *zap.Logger

	loading singleflight.Group
	loaded  atomic.Pointer[keys]
	failure atomic.Pointer[keyFailure]
}

// keys is what one load found; it does not change.
type keys struct {
	signing *token.SigningKey
	public  *token.KeySet
	jwks    *oauth.Document
	algs    []string // of the public keys, each once
}

type keyFailure struct {
	err error
	at  time.Time
}

// storedKey is a signing key as it stands in storage, one object per key.
type storedKey struct {
	Created time.Time       `json:"created"`
	Key     json.RawMessage `json:"key"` // a private JWK
}

func newKeyring(storage certmagic.Storage, issuer string, alg token.Alg, logger *zap.Logger) *keyring {
	return &keyring{storage: storage, prefix: path.Join("m2m", storageName(issuer), "keys"), alg: alg, logger: logger}
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
	result := k.loading.DoChan("", func() (any, error) {
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
	ctx, cancel := context.WithTimeout(ctx, keyLoadTimeout)
	defer cancel()
	found, err := k.loadOrCreate(ctx)
	if err != nil {
		err = fmt.Errorf("loading signing keys: %w", err)
		k.failure.Store(&keyFailure{err: err, at: time.Now()})
		k.logger.Error("there are no keys", zap.Error(err)) // once per keyRetryAfter, however many ask
		return nil, err
	}
	k.loaded.Store(found)
	return found, nil
}

func (k *keyring) loadOrCreate(ctx context.Context) (*keys, error) {
	found, err := k.read(ctx)
	if err != nil || found.signing != nil {
		return found, err
	}
	lock := "m2m_" + path.Base(path.Dir(k.prefix)) + "_keys"
	if err := k.storage.Lock(ctx, lock); err != nil {
		return nil, fmt.Errorf("locking storage: %w", err)
	}
	defer func() {
		if err := k.storage.Unlock(context.WithoutCancel(ctx), lock); err != nil {
			k.logger.Error("unlocking storage", zap.Error(err))
		}
	}()
	// another node may have made the key while this one waited for the lock
	if found, err = k.read(ctx); err != nil || found.signing != nil {
		return found, err
	}
	if err := k.create(ctx); err != nil {
		return nil, err
	}
	return k.read(ctx)
}

// create makes a signing key and stores it under its ID.
func (k *keyring) create(ctx context.Context) error {
	key, err := token.GenerateKey(k.alg)
	if err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	private, err := key.MarshalPrivate()
	if err != nil {
		return fmt.Errorf("encoding the signing key: %w", err)
	}
	object, err := json.Marshal(storedKey{Created: time.Now().UTC(), Key: private})
	if err != nil {
		return fmt.Errorf("encoding the signing key: %w", err)
	}
	if err := k.storage.Store(ctx, path.Join(k.prefix, key.ID()+".json"), object); err != nil {
		return fmt.Errorf("storing the signing key: %w", err)
	}
	k.logger.Info("made a signing key", zap.String("kid", key.ID()), zap.String("alg", string(k.alg)))
	return nil
}

// read loads every key of the issuer. The newest of the configured algorithm signs; all are
// published. A broken object is left out, loudly; when no object is good, that is an error, for
// a new key in its place would make every node that has the old one disagree.
func (k *keyring) read(ctx context.Context) (*keys, error) {
	names, err := k.storage.List(ctx, k.prefix, false)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing %s: %w", k.prefix, err)
	}
	var all []*token.SigningKey
	var created time.Time
	var broken []error
	found := new(keys)
	for _, name := range names {
		object, err := k.storage.Load(ctx, name)
		if err != nil { // it may be a good key: without it others' tokens would be refused here
			return nil, fmt.Errorf("loading %s: %w", name, err)
		}
		key, at, err := parseStoredKey(name, object)
		if err != nil {
			broken = append(broken, err)
			k.logger.Error("a signing key is left out", zap.Error(err))
			continue
		}
		all = append(all, key)
		if key.Alg() == k.alg && (found.signing == nil || at.After(created)) {
			found.signing, created = key, at
		}
	}
	if len(broken) > 0 && found.signing == nil {
		return nil, errors.Join(broken...)
	}
	slices.SortFunc(all, func(a, b *token.SigningKey) int { return strings.Compare(a.ID(), b.ID()) })
	found.public = token.NewKeySet(all...)
	found.jwks = oauth.NewDocument(found.public.JWKS(), jwksContentType, jwksMaxAge)
	found.algs = algsOf(all)
	return found, nil
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

func parseStoredKey(name string, object []byte) (*token.SigningKey, time.Time, error) {
	var stored storedKey
	if err := json.Unmarshal(object, &stored); err != nil {
		return nil, time.Time{}, fmt.Errorf("parsing %s: not a stored key", name)
	}
	key, err := token.ParseSigningKey(stored.Key)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("parsing %s: %w", name, err)
	}
	if path.Base(name) != key.ID()+".json" {
		return nil, time.Time{}, fmt.Errorf("parsing %s: it is not named after its key, so it is none that was made here", name)
	}
	return key, stored.Created, nil
}
