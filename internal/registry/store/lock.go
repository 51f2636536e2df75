package store

import (
	"context"
	"sync"
	"time"
)

// A writer keeps the storage's lock for a little longer than a change takes, so that a burst of changes locks it once.
// Storages do not expect many locks a second: for each one, Caddy's file storage leaves a task behind for some seconds
// that writes to the lock's file, and several of them corrupt it.
//
// A node that waits for a lock of Caddy's file storage or of Redis looks once a second whether it is free. So a node that
// makes one change after the other leaves the lock free for longer than a second from time to time. Otherwise other nodes
// would never get it.
const (
	lockLinger = time.Second
	lockMax    = 4 * time.Second
	lockRest   = 1200 * time.Millisecond
)

// writeLock is the lock of a registry in its storage. Its methods are called with mu held.
type writeLock struct {
	mu      sync.Mutex
	storage Storage
	name    string
	held    bool
	since   time.Time
	used    time.Time
	onFault func(doing string, err error)
}

// acquire waits for the lock, unless it is still held.
func (l *writeLock) acquire(ctx context.Context) error {
	if l.held && time.Since(l.since) < lockMax {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if l.held {
		l.release(ctx)
		select {
		case <-time.After(lockRest):
		case <-waiting.Done():
		}
	}
	if err := l.storage.Lock(waiting, l.name); err != nil {
		return unavailable("locking the registry", err)
	}
	l.held, l.since = true, time.Now()
	return nil
}

// releaseLater releases the lock after lockLinger, unless it is used again before that.
func (l *writeLock) releaseLater() {
	l.used = time.Now()
	time.AfterFunc(lockLinger, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if time.Since(l.used) >= lockLinger {
			l.release(context.Background())
		}
	})
}

func (l *writeLock) release(ctx context.Context) {
	if !l.held {
		return
	}
	l.held = false
	if err := l.storage.Unlock(context.WithoutCancel(ctx), l.name); err != nil {
		l.onFault("unlocking the registry", err)
	}
}
