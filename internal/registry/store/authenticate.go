package store

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// Authenticate returns the client that has the secret, and the ID of the secret, or a *registry.Refusal. Any other error is
// a fault of the storage or of the client's object.
//
// The time of a refusal must not show which clients exist. So each refusal makes the same calls to the storage: it loads
// one object, which may not exist, and checks that the storage still works. For some seconds, an id that was refused is
// refused without a call, whether a client has it or not. A malformed id or secret is refused without a call.
func (s *Store) Authenticate(ctx context.Context, id, secret string, now time.Time) (client *registry.Client, secretID string, _ error) {
	err := s.authenticate(ctx, id, registry.MayWork(secret), func(c *registry.Client) (err error) {
		client, secretID, err = c.Authenticate(secret, now)
		return err
	})
	return client, secretID, err
}

// AuthenticateBy returns the client if the proof is its own, or else a *registry.Refusal, as Authenticate does for a secret.
func (s *Store) AuthenticateBy(ctx context.Context, id string, proof registry.Proof, now time.Time) (client *registry.Client, _ error) {
	err := s.authenticate(ctx, id, true, func(c *registry.Client) (err error) {
		client, err = c.AuthenticateBy(proof, now)
		return err
	})
	return client, err
}

// authenticate checks the client that has an id. If it is refused and mayWork is set, it is checked once more as it is in the
// storage.
func (s *Store) authenticate(ctx context.Context, id string, mayWork bool, check func(*registry.Client) error) error {
	client, refused := s.clients.get(id, s.now())
	err := check(client)
	if refused || !errors.Is(err, registry.ErrRefused) {
		return err
	}
	name, invalid := clientName(id)
	if invalid != nil || !mayWork {
		return err
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	read, err := s.lookUp(ctx, name, id, client)
	if err != nil {
		return err
	}
	if err = check(read.client); !errors.Is(err, registry.ErrRefused) {
		return err
	}
	if failed := s.refuse(ctx, name, id, read); failed != nil {
		return failed
	}
	return err
}

// clientRead is a client that was read in a generation of the cache, or nil if there is none.
type clientRead struct {
	client     *registry.Client
	generation uint64
}

// lookUp reads a client. If the client is in memory, lookUp loads an object that never exists instead, as it does for an
// unknown client. Concurrent callers with the same id share one call, but each keeps the client that it has: that of
// another caller may be from before a change.
func (s *Store) lookUp(ctx context.Context, name, id string, inMemory *registry.Client) (clientRead, error) {
	key := s.clientKey(name)
	if inMemory != nil {
		generation, err := poll.Shared(ctx, &s.decoys, id, func(ctx context.Context) (uint64, error) {
			generation := s.clients.generation.Load()
			_, err := s.load(ctx, s.unauthenticated, decoyOf(key))
			return generation, err
		})
		return clientRead{inMemory, generation}, err
	}
	return poll.Shared(ctx, &s.lookingUp, id, func(ctx context.Context) (clientRead, error) {
		read := clientRead{nil, s.clients.generation.Load()}
		storage := s.unauthenticated
		if s.clients.wasKnown(id) {
			storage = s.known
		}
		object, err := s.load(ctx, storage, key)
		switch {
		case err != nil:
			return read, err
		case object == nil: // decode a stand-in, so that an unknown client takes as long as a known one
			_ = decodeEvenDamaged(key, standInID, standInObject())
			return read, nil
		}
		if read.client = decodeEvenDamaged(key, id, object); isWhole(read.client) {
			s.clients.put(read.generation, id, read.client)
		}
		return read, nil
	})
}

// standInID has a character that is not valid in an id, so that no client has it.
const standInID = "\x00"

// standInObject returns the object of a client with a secret and a grant, which most clients have.
var standInObject = sync.OnceValue(func() []byte {
	entry, err := json.Marshal(&registry.Client{
		ID: standInID, Description: "Nightly import", Secrets: []registry.Secret{{ID: "s1", Created: time.Unix(0, 0)}},
		Grants: []scope.Grant{{Resource: "book", Identifiers: []string{"*"}, Actions: []string{"read"}}},
	})
	if err != nil {
		return nil
	}
	return envelope.Seal(clientLabel(standInID), entry)
})

// load loads an object. It returns nil if the object does not exist.
func (s *Store) load(ctx context.Context, storage Lookups, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	object, err := storage.Load(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, unavailable("loading "+key, err)
	case object == nil:
		return []byte{}, nil
	}
	return object, nil
}

// decoyOf returns a key next to that of a record, of the same length, that no record has. Each record has a decoy of its
// own, because a storage may answer faster for a key that it was asked for before.
func decoyOf(key string) string { return strings.TrimSuffix(key, recordSuffix) + ".none" }

// refuse remembers that an id was refused, after checking that the storage works.
func (s *Store) refuse(ctx context.Context, name, id string, read clientRead) error {
	// a refusal from before a change may find the object of a client that did not exist then
	key := strconv.FormatUint(read.generation, 36) + " " + id
	_, err := poll.Shared(ctx, &s.refusing, key, func(ctx context.Context) (none struct{}, _ error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		looked := s.clientKey(name)
		if read.client != nil { // listing a key that exists takes a different time
			looked = decoyOf(looked)
		}
		if err := s.checkAnswers(ctx, s.unauthenticated, looked); err != nil {
			return none, err
		}
		s.clients.refuse(read.generation, id, read.client, s.now())
		if read.client != nil && read.client.Damage != nil {
			s.report("reading a client", read.client.Damage) // the caller does not learn of it
		}
		return none, nil
	})
	return err
}

// checkAnswers returns an error if a client that was not found may exist. It lists the key that was loaded, because some
// storages answer any failed load as if the object did not exist. An error is also returned if the storage has lost the
// journal, which exists from the first change on.
func (s *Store) checkAnswers(ctx context.Context, storage Lookups, key string) error {
	if _, err := storage.List(ctx, key, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unavailable("listing "+key, err)
	}
	if s.sequence.Load() == 0 {
		return nil
	}
	there, err := storage.Has(ctx, s.journalKey())
	if err == nil && !there {
		err = errLost
	}
	if err != nil {
		return unavailable("looking for "+s.journalKey(), err)
	}
	// The storage may have failed when the client was loaded, and recovered since.
	object, err := s.load(ctx, storage, key)
	if err == nil && object != nil {
		err = unavailable("loading "+key, errors.New("it did not exist a moment ago"))
	}
	return err
}
