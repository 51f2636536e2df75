package caddymodule

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	strictjson "github.com/go-json-experiment/json"

	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// storedKey is a signing key as it stands in storage, one object per key. Nothing in it says which state the key
// is in: that follows from the times.
type storedKey struct {
	Created   time.Time       `json:"created"`
	SignsFrom time.Time       `json:"signs_from,omitzero"` // default: created
	TokenTTL  int64           `json:"token_ttl,omitempty"` // in seconds, the longest that there was while it signed
	Revoked   *keyRevocation  `json:"revoked,omitempty"`
	Key       json.RawMessage `json:"key,omitempty"`    // a private JWK
	Sealed    []byte          `json:"sealed,omitempty"` // in its place: the JWK, encrypted
	SHA256    []byte          `json:"sha256,omitempty"` // of all the rest, as sum has it; objects of former versions have none
}

// sum finds damage: a bit of a time or a name may make a key that was given up a good one.
func (s storedKey) sum() ([]byte, error) {
	s.SHA256 = nil
	object, err := json.Marshal(s)
	sum := sha256.Sum256(object)
	return sum[:], err
}

// keyObjects is what storage has.
type keyObjects struct {
	keys   []*issuerKey // in the order in which they sign
	broken map[string]error
	undone []*issuerKey // of keys, those that were given up and no longer are so in storage
}

func (o *keyObjects) has(key *issuerKey) bool {
	return key != nil && slices.ContainsFunc(o.keys, func(other *issuerKey) bool { return other.ID() == key.ID() })
}

// err is what is wrong with the broken ones.
func (o *keyObjects) err() error {
	var all []error
	for _, err := range o.broken {
		all = append(all, err)
	}
	return joinSorted(all)
}

// read loads every key of the issuer. A broken object is left out, unless a good one was read from it before:
// that one goes on. One that cannot be loaded may be a good one, without which others' tokens would be refused
// here, so that it is an error.
func (k *keyring) read(ctx context.Context) (*keyObjects, error) {
	names, err := store.ListKeys(ctx, k.storage, k.prefix)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", k.prefix, err)
	}
	found := &keyObjects{broken: make(map[string]error)}
	for _, name := range names {
		if path.Ext(name) != ".json" {
			continue // a file storage's, on its way to its name
		}
		object, err := k.storage.Load(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another node has just dropped it
		}
		if err != nil {
			return nil, fmt.Errorf("loading %s: %w", name, err)
		}
		former := k.loaded.Load().key(kidOf(name))
		if former != nil && bytes.Equal(former.object, object) {
			found.keys = append(found.keys, former)
			continue
		}
		key, givenUp, err := k.parse(kidOf(name), object)
		if err != nil {
			found.broken[name] = fmt.Errorf("parsing %s: %w", name, err)
			key = former.orGivenUp(givenUp)
		}
		if key != nil && key.revoked == nil && former != nil && former.revoked != nil {
			key = former // a write that began before has ended after
			found.undone = append(found.undone, key)
		}
		if key != nil {
			found.keys = append(found.keys, key)
		}
	}
	sortKeys(found.keys)
	return found, k.checkFound(found)
}

// blind reports whether no key is known that could sign, but one may be among those that cannot be read.
func (k *keyring) blind(found *keyObjects) bool {
	own := func(key *issuerKey) bool { return key.revoked == nil && key.Alg() == k.alg }
	return len(found.broken) > 0 && !slices.ContainsFunc(found.keys, own)
}

// checkFound refuses what a new key must not be the answer to, nor another key than the one that signs: it would part
// this node from those that have that. A node that runs has had all keys, and goes on with them until it is known that
// they were given up.
func (k *keyring) checkFound(found *keyObjects) error {
	loaded, now := k.loaded.Load(), k.now()
	switch {
	case k.blind(found) && (loaded == nil || !found.has(signerAt(loaded.all, k.alg, now))):
		return found.err()
	case len(found.broken) > 0 && loaded == nil && !k.times.inTime(signerAt(found.keys, k.alg, now), now):
		return fmt.Errorf("%w; it may be the key that signs: restore it, `caddy m2m key rotate --now` on a node that runs, or, where none does, delete it", found.err())
	case len(found.keys) == 0 && loaded != nil:
		return fmt.Errorf("%s is empty, and had keys", k.prefix)
	}
	return nil
}

// stored reports whether storage has one of the keys that are loaded, as it must; before any are it is not asked.
func (k *keyring) stored(ctx context.Context) bool {
	loaded := k.loaded.Load()
	return loaded == nil || k.storesAny(ctx, loaded)
}

func (k *keyring) storesAny(ctx context.Context, keys *keys) bool {
	return slices.ContainsFunc(keys.all, func(key *issuerKey) bool { return k.storage.Exists(ctx, k.nameOf(key.ID())) })
}

func kidOf(name string) string { return strings.TrimSuffix(path.Base(name), ".json") }

func (k *keyring) nameOf(kid string) string { return path.Join(k.prefix, kid+".json") }

// parse is the key of an object. That it was given up is told also where the key itself cannot be read.
func (k *keyring) parse(kid string, object []byte) (key *issuerKey, givenUp *keyRevocation, err error) {
	stored, err := decodeKey(object)
	if err != nil {
		return nil, nil, err
	}
	key, err = k.keyOf(kid, stored)
	if err != nil {
		return nil, stored.Revoked, err
	}
	key.object = object
	return key, nil, nil
}

func decodeKey(object []byte) (*storedKey, error) {
	var stored storedKey
	if strictjson.Unmarshal(object, &stored, strictjson.RejectUnknownMembers(true)) != nil { // as of a name that is damaged
		return nil, errors.New("not a stored key")
	}
	if sum, err := stored.sum(); err != nil || stored.SHA256 != nil && !bytes.Equal(sum, stored.SHA256) {
		return nil, errors.New("it was damaged or changed: the checksum is not that of the rest")
	}
	if stored.SignsFrom.IsZero() {
		stored.SignsFrom = stored.Created
	}
	return &stored, nil
}

func (k *keyring) keyOf(kid string, stored *storedKey) (*issuerKey, error) {
	key := &issuerKey{
		created: stored.Created, signsFrom: stored.SignsFrom, revoked: stored.Revoked, sealedBy: k.seal.current(),
		ttl: min(time.Duration(max(stored.TokenTTL, 0))*time.Second, token.MaxTTL),
	}
	if stored.Revoked != nil && stored.Key == nil && stored.Sealed == nil {
		key.lost = kid
		return key, nil
	}
	private, by := []byte(stored.Key), unsealed
	if len(stored.Sealed) > 0 {
		var err error
		if private, by, err = k.seal.open(kid, stored.Sealed); err != nil {
			return nil, err
		}
	}
	signing, err := token.ParseSigningKey(private)
	if err != nil {
		return nil, err
	}
	if kid != signing.ID() {
		return nil, errors.New("it is not named after its key, so it is none that was made here")
	}
	key.SigningKey, key.sealedBy = signing, by
	return key, nil
}

// write stores a key under its ID, encrypted where that is asked for.
func (k *keyring) write(ctx context.Context, key *issuerKey) error {
	stored := storedKey{Created: key.created.UTC(), SignsFrom: key.signsFrom.UTC(), TokenTTL: int64(key.ttl / time.Second), Revoked: key.revoked}
	private, err := key.private()
	switch {
	case err != nil:
		return fmt.Errorf("encoding the signing key: %w", err)
	case private != nil && k.seal != nil:
		stored.Sealed = k.seal.seal(key.ID(), private)
	default:
		stored.Key = private
	}
	if stored.SHA256, err = stored.sum(); err != nil {
		return fmt.Errorf("encoding the signing key: %w", err)
	}
	object, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("encoding the signing key: %w", err)
	}
	if err := k.storage.Store(ctx, k.nameOf(key.ID()), object); err != nil {
		return fmt.Errorf("storing the signing key: %w", err)
	}
	return nil
}

func (k *keyring) remove(ctx context.Context, name string) error {
	if err := k.storage.Delete(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting %s: %w", name, err)
	}
	return nil
}
