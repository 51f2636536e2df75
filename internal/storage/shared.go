package storage

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-m2m/caddy-m2m/internal/poll"
)

// Pool keeps a value for as long as it has users. A *caddy.UsagePool is one.
type Pool interface {
	LoadOrStore(key, value any) (actual any, loaded bool)
	Delete(key any) (deleted bool, err error)
}

// shared is the state that all users of one storage share in this process.
type shared struct {
	storage         certmagic.Storage // the first one; held so that no other has its address, which is in the key
	slots           chan struct{}     // one for each call in progress
	unauthenticated quota
	lateWrites      atomic.Int64  // writes in progress that no caller waits for anymore
	writes          poll.Failures // why the last write failed

	mu         sync.Mutex
	locks      uint64                     // how many were taken
	taken      map[string]takenLock       // the last one of each name
	unreleased map[string]*unreleasedLock // by name
}

func newShared(storage certmagic.Storage) *shared {
	return &shared{
		storage:         storage,
		slots:           make(chan struct{}, maxCalls),
		unauthenticated: quota{slots: make(chan struct{}, maxUnauthenticatedCalls)},
		taken:           make(map[string]takenLock),
		unreleased:      make(map[string]*unreleasedLock),
	}
}

// retain keeps the shared state in the pool until release, also after Close, for work in progress.
func (s *Bounded) retain() { s.pool.LoadOrStore(s.key, s.shared) }

func (s *Bounded) release() { _, _ = s.pool.Delete(s.key) } // fails only if a Destruct method does, which shared lacks

// fileStorage is Caddy's own storage, in a folder.
type fileStorage interface{ Filename(key string) string }

// keyOf returns the same key for the same storage. Caddy makes a new storage for each config, and only for files is it
// known whether it is in the place of another config's.
func keyOf(storage certmagic.Storage) string {
	if files, ok := storage.(fileStorage); ok {
		return "folder " + files.Filename("")
	}
	return fmt.Sprintf("%T %p", storage, storage) // empty structs of several types may have one address
}
