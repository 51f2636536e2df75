// Package storage makes Caddy's storage safe to call from request handlers: no caller waits for it longer than its
// context says, unauthenticated callers use only a part of it, a lock of a process that has died is released, and a
// failed read is not taken for a missing object. Open is the entry point. The package may import certmagic, zap and
// internal/poll.
package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

const (
	// callTimeout bounds how long a caller waits for one call, in addition to its context.
	callTimeout = 20 * time.Second
	// listTimeout does so for listings, which may have a million objects.
	listTimeout = 5 * time.Minute
)

// Storage is a certmagic.Storage whose Load does not report a missing object without a check. The storage module for
// Redis answers fs.ErrNotExist to any error, such as a lost connection or a canceled request. A signing key would then
// look deleted, and a client unknown.
type Storage struct{ *Bounded }

// Open returns a config's storage. All that use the same pool and the same storage share limits and locks, also the two
// configs of a reload. The storage may be closed when done is closed; files need no closing. Call Close when the config
// ends.
func Open(pool Pool, storage certmagic.Storage, done <-chan struct{}, logger *zap.Logger) *Storage {
	key := keyOf(storage)
	state, _ := pool.LoadOrStore(key, newShared(storage))
	s := &Bounded{
		Storage: storage, shared: state.(*shared), pool: pool, key: key, logger: logger,
		timeout: callTimeout, listTimeout: listTimeout,
	}
	if _, ok := storage.(fileStorage); !ok {
		s.done = done
	}
	return &Storage{s}
}

// Close ends the use of what the storage shares with others. Calls and locks in progress go on.
func (s *Storage) Close() { s.release() }

// Unverified returns the storage without the check of missing objects.
func (s *Storage) Unverified() *Bounded { return s.Bounded }

// ForUnauthenticated returns the storage for calls that unauthenticated callers cause. They use a part of it, and missing
// objects are not checked.
func (s *Storage) ForUnauthenticated() *Bounded {
	limited := *s.Bounded
	limited.quota = &limited.unauthenticated
	return &limited
}

// WriteFailure returns why the last write failed, or "" if it succeeded or there was none.
func (s *Storage) WriteFailure() string { return s.writes.Reason() }

// Load fails with fs.ErrNotExist only if the storage works, which a listing shows. The listing is short, because nothing
// is below the path of an object. Redis fails to list a path that is an object, so Load then looks for the object again:
// it may have just been stored.
func (s *Storage) Load(ctx context.Context, key string) ([]byte, error) {
	object, err := s.Bounded.Load(ctx, key)
	if !errors.Is(err, fs.ErrNotExist) {
		return object, err
	}
	short, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, failed := s.List(short, key, false)
	if failed == nil || errors.Is(failed, fs.ErrNotExist) {
		return nil, err
	}
	if object, err = s.Bounded.Load(ctx, key); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("checking whether the object exists: %w", failed)
	}
	return object, err
}
