package registry

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// Lookups is the storage as a Store uses it for unauthenticated callers. They can cause any number of these calls, so an
// implementation should give them a small share of the storage. The methods are those of Storage, but an fs.ErrNotExist
// of Load may stand for any other error: the Store checks that.
type Lookups interface {
	Load(ctx context.Context, key string) ([]byte, error)
	List(ctx context.Context, path string, recursive bool) ([]string, error)
	// Has reports whether an object is there, or why it could not be asked for.
	Has(ctx context.Context, key string) (bool, error)
}

// allOf gives lookups all of a storage.
type allOf struct{ Storage }

func (s allOf) Has(ctx context.Context, key string) (bool, error) { return s.Exists(ctx, key), nil }

// SetLookups sets the storage for unauthenticated callers, and for those of them that name a client that was in memory
// before. Call it before the first lookup.
func (s *Store) SetLookups(strangers, known Lookups) { s.strangers, s.known = strangers, known }

// Authenticate returns the client whose secret this is, and the ID of the secret, or ErrRefused. Any other error is a
// fault of the storage, or of the client's object.
//
// The time of a refusal must not show which clients exist. So each refusal makes the same calls of the storage: it loads
// one object, which may not exist, and checks that the storage still works. For some seconds an id that was refused is
// refused without a call, whether a client has it or not. A malformed id or secret is refused without a call.
func (s *Store) Authenticate(ctx context.Context, id, secret string, now time.Time) (*Client, string, error) {
	client, refused := s.clients.get(id, s.now())
	found, secretID, err := client.prove(secret, now)
	if refused || !errors.Is(err, ErrRefused) {
		return found, secretID, err
	}
	name, invalid := clientName(id)
	if invalid != nil || CheckSecret(secret) != nil {
		return nil, "", ErrRefused
	}
	if err := s.Open(ctx); err != nil {
		return nil, "", err
	}
	read, err := s.lookUp(ctx, name, id, client)
	if err != nil {
		return nil, "", err
	}
	found, secretID, err = read.client.prove(secret, now)
	if !errors.Is(err, ErrRefused) {
		return found, secretID, err
	}
	if err := s.refuse(ctx, name, id, read); err != nil {
		return nil, "", err
	}
	return nil, "", ErrRefused
}

// prove returns the client and the ID of the secret, or ErrRefused if the secret is not the client's. If the client's
// object is damaged, the error is its damage.
func (c *Client) prove(secret string, now time.Time) (*Client, string, error) {
	secretID, ok := c.Authenticate(secret, now)
	switch {
	case !ok:
		return nil, "", ErrRefused
	case c.Damage != nil:
		return nil, "", c.Damage
	}
	return c, secretID, nil
}

// clientRead is a client as it was in a generation of the cache; nil if there is none.
type clientRead struct {
	client     *Client
	generation uint64
}

// lookUp reads a client. One that is in memory is not read again: an object is loaded in its place that is never there,
// as that of an unknown client. Those who ask for an id wait for each other, but each keeps the client that it has: that
// of another may be from before a change.
func (s *Store) lookUp(ctx context.Context, name, id string, inMemory *Client) (clientRead, error) {
	key := s.clientKey(name)
	if inMemory != nil {
		generation, err := poll.Shared(ctx, &s.decoys, id, func(ctx context.Context) (uint64, error) {
			generation := s.clients.generation.Load()
			_, err := s.load(ctx, s.strangers, decoyOf(key))
			return generation, err
		})
		return clientRead{inMemory, generation}, err
	}
	return poll.Shared(ctx, &s.lookingUp, id, func(ctx context.Context) (clientRead, error) {
		read := clientRead{nil, s.clients.generation.Load()}
		storage := s.strangers
		if s.clients.wasKnown(id) {
			storage = s.known
		}
		object, err := s.load(ctx, storage, key)
		switch {
		case err != nil:
			return read, err
		case object == nil: // decode something all the same, because that takes longer than loading nothing
			_ = decodeOrSalvage(key, standInID, standInObject())
			return read, nil
		}
		if read.client = decodeOrSalvage(key, id, object); read.client.isWhole() {
			s.clients.put(read.generation, id, read.client)
		}
		return read, nil
	})
}

// standInID is not a client's: it has a character that no id has.
const standInID = "\x00"

// standInObject returns the object of a client with a secret and a grant, as most clients have.
var standInObject = sync.OnceValue(func() []byte {
	entry, err := json.Marshal(&Client{
		ID: standInID, Description: "Nightly import", Secrets: []Secret{{ID: "s1", Created: time.Unix(0, 0)}},
		Grants: []scope.Grant{{Resource: "book", Identifiers: []string{"*"}, Actions: []string{"read"}}},
	})
	if err != nil {
		return nil
	}
	return envelope.Seal(clientLabel(standInID), entry)
})

// load loads an object; nil is that there is none.
func (s *Store) load(ctx context.Context, storage Lookups, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
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

// decoyOf is a key of the same length, next to that of a record, that no record has. Each record has one of its own, for
// a storage may answer faster for a key that it has been asked for before.
func decoyOf(key string) string { return strings.TrimSuffix(key, recordSuffix) + ".none" }

// refuse remembers that an id was refused, once the storage has shown that it works.
func (s *Store) refuse(ctx context.Context, name, id string, read clientRead) error {
	_, err := poll.Shared(ctx, &s.refusing, id, func(ctx context.Context) (none struct{}, _ error) {
		ctx, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		looked := s.clientKey(name)
		if read.client != nil { // what exists is listed otherwise, which takes another time
			looked = decoyOf(looked)
		}
		if err := s.checkAnswers(ctx, looked); err != nil {
			return none, err
		}
		s.clients.refuse(read.generation, id, read.client, s.now())
		if read.client != nil && read.client.Damage != nil {
			s.tell("reading a client", read.client.Damage) // strangers are not told
		}
		return none, nil
	})
	return err
}

// checkAnswers fails when a client that was not found may exist. It lists the key that was looked for, because some
// storages say of any error that an object is not there, and an error if what exists is listed as a folder. It also
// fails when the storage has lost the journal, which is there from the first change on.
func (s *Store) checkAnswers(ctx context.Context, key string) error {
	if _, err := s.strangers.List(ctx, key, false); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unavailable("listing "+key, err)
	}
	if s.sequence.Load() == 0 {
		return nil
	}
	there, err := s.strangers.Has(ctx, s.journalKey())
	if err == nil && !there {
		err = errLost
	}
	if err != nil {
		return unavailable("looking for "+s.journalKey(), err)
	}
	// The storage may have come back, with the client, since the client was looked for.
	object, err := s.load(ctx, s.strangers, key)
	if err == nil && object != nil {
		err = unavailable("loading "+key, errors.New("it was not there a moment ago"))
	}
	return err
}
