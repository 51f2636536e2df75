package keyring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	strictjson "github.com/go-json-experiment/json"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
	"github.com/caddy-m2m/caddy-m2m/internal/folder"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// keyJSON is the content of a key's object. It does not name the key's state: that follows from the times.
type keyJSON struct {
	Created   time.Time       `json:"created"`
	SignsFrom time.Time       `json:"signs_from"`
	TokenTTL  int64           `json:"token_ttl"` // in seconds, the longest there was while the key signed
	Revoked   *revocation     `json:"revoked,omitempty"`
	Key       json.RawMessage `json:"key,omitempty"`    // a private JWK
	Sealed    []byte          `json:"sealed,omitempty"` // instead of Key: the JWK, encrypted
}

// contents is what storage has.
type contents struct {
	keys      []*storedKey // in the order in which they sign
	broken    map[string]error
	unrevoked []*storedKey // of keys, those that were revoked but no longer are in storage
}

func (c *contents) has(key *storedKey) bool {
	return key != nil && slices.ContainsFunc(c.keys, func(other *storedKey) bool { return other.ID() == key.ID() })
}

// err returns why the broken objects cannot be read.
func (c *contents) err() error { return joinSorted(slices.Collect(maps.Values(c.broken))) }

// joinSorted joins errors in the order of their texts, so that the same errors always give the same text.
func joinSorted(errs []error) error {
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// read loads every key of the issuer. A broken object is left out, unless it was read when it was good: then the key
// stays in use. An object that cannot be loaded is an error, because it may be good, and this node would refuse tokens
// that others accept.
func (r *Ring) read(ctx context.Context) (*contents, error) {
	names, err := folder.List(ctx, r.storage, r.folder)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", r.folder, err)
	}
	found := &contents{broken: make(map[string]error)}
	for _, name := range names {
		if path.Ext(name) != ".json" {
			continue // a temporary file of a file storage
		}
		object, err := r.storage.Load(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another node has just deleted it
		}
		if err != nil {
			return nil, fmt.Errorf("loading %s: %w", name, err)
		}
		r.readObject(found, name, object)
	}
	sortKeys(found.keys)
	return found, r.check(found)
}

func (r *Ring) readObject(found *contents, name string, object []byte) {
	former := r.loaded.Load().key(kidOf(name))
	if former != nil && bytes.Equal(former.object, object) {
		found.keys = append(found.keys, former)
		return
	}
	key, revoked, err := r.decode(kidOf(name), object)
	if err != nil {
		found.broken[name] = fmt.Errorf("parsing %s: %w", name, err)
		key = former.withRevocation(revoked)
	}
	if key != nil && key.revoked == nil && former != nil && former.revoked != nil {
		key = former // a write that began before the revocation ended after it
		found.unrevoked = append(found.unrevoked, key)
	}
	if key != nil {
		found.keys = append(found.keys, key)
	}
}

// signerUnreadable reports whether no readable key could sign, but one of the broken objects might hold one that does.
func (r *Ring) signerUnreadable(found *contents) bool {
	own := func(key *storedKey) bool { return key.revoked == nil && key.Alg() == r.alg }
	return len(found.broken) > 0 && !slices.ContainsFunc(found.keys, own)
}

// check refuses contents from which this node would go on with another key than other nodes: one that it would have to
// make, or one that others no longer sign with. A running node has read all keys, and uses them until it reads that they
// were revoked.
func (r *Ring) check(found *contents) error {
	loaded, now := r.loaded.Load(), r.now()
	switch {
	case r.signerUnreadable(found) && (loaded == nil || !found.has(signerAt(loaded.all, r.alg, now))):
		return found.err()
	case len(found.broken) > 0 && loaded == nil && !r.times.onSchedule(signerAt(found.keys, r.alg, now), now):
		return fmt.Errorf("%w; it may be the key that signs: restore it, run `caddy m2m key rotate --now` on a running node, or, if there is none, delete it", found.err())
	case len(found.keys) == 0 && loaded != nil:
		return fmt.Errorf("%s is empty, and had keys", r.folder)
	}
	return nil
}

func kidOf(name string) string { return strings.TrimSuffix(path.Base(name), ".json") }

func (r *Ring) nameOf(kid string) string { return path.Join(r.folder, kid+".json") }

func label(kid string) string { return "signing key " + kid }

// decode returns the key of an object. If the object is whole but the key cannot be read, as when it is encrypted, decode
// returns the key's revocation with the error.
func (r *Ring) decode(kid string, object []byte) (*storedKey, *revocation, error) {
	content, err := envelope.Open(label(kid), object)
	if err != nil {
		return nil, nil, err
	}
	var stored keyJSON
	if strictjson.Unmarshal(content, &stored, strictjson.RejectUnknownMembers(true)) != nil {
		return nil, nil, errors.New("it is not a stored key")
	}
	key := &storedKey{
		created: stored.Created, signsFrom: stored.SignsFrom, revoked: stored.Revoked, sealedBy: r.seal.current(), object: object,
		ttl: min(time.Duration(max(stored.TokenTTL, 0))*time.Second, token.MaxTTL),
	}
	if stored.Revoked != nil && stored.Key == nil && stored.Sealed == nil {
		key.kid = kid
		return key, nil, nil
	}
	private, by := []byte(stored.Key), unsealed
	if len(stored.Sealed) > 0 {
		if private, by, err = r.seal.open(kid, stored.Sealed); err != nil {
			return nil, stored.Revoked, err
		}
	}
	signing, err := token.ParseSigningKey(private)
	if err == nil && kid != signing.ID() {
		err = errors.New("its name is not the key's ID, so this program did not make it")
	}
	if err != nil {
		return nil, stored.Revoked, err
	}
	key.SigningKey, key.sealedBy = signing, by
	return key, nil, nil
}

// write stores a key under its ID, encrypted if the issuer has a Seal.
func (r *Ring) write(ctx context.Context, key *storedKey) error {
	stored := keyJSON{Created: key.created.UTC(), SignsFrom: key.signsFrom.UTC(), TokenTTL: int64(key.ttl / time.Second), Revoked: key.revoked}
	if key.SigningKey != nil {
		private, err := key.MarshalPrivate()
		switch {
		case err != nil:
			return fmt.Errorf("encoding the signing key: %w", err)
		case r.seal != nil:
			stored.Sealed = r.seal.seal(key.ID(), private)
		default:
			stored.Key = private
		}
	}
	content, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("encoding the signing key: %w", err)
	}
	if err := r.storage.Store(ctx, r.nameOf(key.ID()), envelope.Seal(label(key.ID()), content)); err != nil {
		return fmt.Errorf("storing the signing key: %w", err)
	}
	return nil
}
