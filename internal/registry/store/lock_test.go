package store_test

import (
	"context"
	"sync"
	"testing"
	"time"
)

// polled is a storage whose lock is as those of Caddy's storages are: who waits looks again and again whether it is
// free, and whoever comes in between has it first.
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

// TestChangesOfABusyNode: one that makes changes all the time does not keep another from making one.
func TestChangesOfABusyNode(t *testing.T) {
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
