package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

// storageOf is the config's storage, for which nobody waits for ever, and whose answers are not taken for more than they
// say.
func storageOf(ctx caddy.Context) doubtedStorage {
	bounded := boundStorage(ctx.Storage())
	if _, ok := ctx.Storage().(fileStorage); !ok { // files need not be closed, others may be with their config
		bounded.closed = ctx.Done()
	}
	return doubtedStorage{bounded, bounded.bounds}
}

// once returns the storage without the second look at missing objects.
func (s doubtedStorage) once() *boundedStorage { return s.Storage.(*boundedStorage) }

// forStrangers returns the storage for calls that unauthenticated callers cause. It has a share of the places, and no
// second look.
func (s doubtedStorage) forStrangers() *boundedStorage {
	shared := *s.once()
	shared.share = &shared.strangers
	return &shared
}

// doubtedStorage is Caddy's storage, whose word that an object is not there is not taken at once. That of Redis says
// so of every error, such as a connection that is lost or a request that was cancelled; a key would be taken for
// dropped then, and a client for unknown.
type doubtedStorage struct {
	certmagic.Storage
	*bounds
}

// Load fails with fs.ErrNotExist only when the storage works. A listing tells errors apart, and here it is short: what
// is listed is below the object, where there is nothing. To list what is an object is an error in Redis, too, so one
// that has just come to be there is loaded.
func (s doubtedStorage) Load(ctx context.Context, key string) ([]byte, error) {
	object, err := s.Storage.Load(ctx, key)
	if !errors.Is(err, fs.ErrNotExist) {
		return object, err
	}
	short, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	_, failed := s.List(short, key, false)
	if failed == nil || errors.Is(failed, fs.ErrNotExist) {
		return nil, err
	}
	if object, err = s.Storage.Load(ctx, key); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("it cannot be told whether it is there: %w", failed)
	}
	return object, err
}
