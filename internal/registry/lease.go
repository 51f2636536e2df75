package registry

import (
	"context"
	"sync"
	"time"
)

// How long the storage's lock is held: a little longer than a change takes, so that a burst of changes
// takes it once, and never so long that another node waits in vain. Storages do not expect a lock to
// be taken many times a second: each time, Caddy's file storage leaves a task behind for some seconds
// that writes to the lock's file, and several of them garble it.
//
// Who waits for a lock in Caddy's file storage, or in Redis, looks once a second whether it is free. A node that always
// has another change to make lets it be free for longer than that, or others would wait in vain.
const (
	leaseLinger = time.Second
	leaseMax    = 4 * time.Second
	leaseRest   = 1200 * time.Millisecond
)

// lease is the lock of a registry in its storage. Its methods are called with the mutex held.
type lease struct {
	mu      sync.Mutex
	storage Storage
	name    string
	held    bool
	since   time.Time
	used    time.Time
	tell    func(doing string, err error)
}

// take waits for the lock, unless it is still held.
func (l *lease) take(ctx context.Context) error {
	if l.held && time.Since(l.since) < leaseMax {
		return nil
	}
	waiting, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if l.held {
		l.release(ctx)
		select {
		case <-time.After(leaseRest):
		case <-waiting.Done():
		}
	}
	if err := l.storage.Lock(waiting, l.name); err != nil {
		return unavailable("locking the registry", err)
	}
	l.held, l.since = true, time.Now()
	return nil
}

// linger lets the lock go later, if nobody uses it until then.
func (l *lease) linger() {
	l.used = time.Now()
	time.AfterFunc(leaseLinger, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if time.Since(l.used) >= leaseLinger {
			l.release(context.Background())
		}
	})
}

func (l *lease) release(ctx context.Context) {
	if !l.held {
		return
	}
	l.held = false
	if err := l.storage.Unlock(context.WithoutCancel(ctx), l.name); err != nil {
		l.tell("unlocking the registry", err)
	}
}
