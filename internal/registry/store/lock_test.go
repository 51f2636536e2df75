package store_test

import (
	"context"
	"sync"
	"testing"
	"time"
)

// polled is a storage with a lock like those of Caddy's storages: a waiting caller looks at intervals whether the lock is
// free, and another caller may get it in between.
type polled struct {
	*memory
	lock sync.Mutex
}

func (p *polled) Lock(ctx context.Context, _ string) error {
	for !p.lock.TryLock() {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (p *polled) Unlock(context.Context, string) error { p.lock.Unlock(); return nil }

// TestChangesOfABusyNode: a node that makes changes all the time does not prevent another from making one.
func TestChangesOfABusyNode(t *testing.T) {
	t.Parallel()
	m, s := newBookStore(t)
	s.Close()
	storage := &polled{memory: m}
	busy, other := newStore(storage), newStore(storage)
	if err := describe(busy, "ci-bot", "before"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		for {
			if err := describe(busy, "ci-bot", "by the busy one"); err != nil {
				t.Errorf("the busy one: %v", err)
			}
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	if err := describe(other, "ci-bot", "by the other"); err != nil {
		t.Errorf("the other: %v", err)
	}
	other.Close()
	close(done)
	changing.Wait()
	busy.Close()
}
