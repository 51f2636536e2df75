package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// TestStoreRefusalsDuringChanges: a refusal that was remembered before a change of the client has no effect after it, even
// if there are many refusals at the same time.
func TestStoreRefusalsDuringChanges(t *testing.T) {
	s := newStore(newMemory())
	s.SetCacheSize(2)
	secret := registry.NewSecret()
	var asking sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for n := range 4 {
		asking.Go(func() {
			for ctx.Err() == nil {
				_, _, _ = s.Authenticate(ctx, "demo", registry.NewSecret(), time.Now())
				_, _, _ = s.Authenticate(ctx, fmt.Sprint("other-", n), registry.NewSecret(), time.Now())
			}
		})
	}
	for n := range 200 {
		disabled := n%2 == 1
		if _, err := s.EditClient(ctx, "demo", func(*registry.Client) (*registry.Client, error) {
			return &registry.Client{ID: "demo", Disabled: disabled, Secrets: []registry.Secret{{ID: "s1", SHA256: registry.SumSecret(secret)}}}, nil
		}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, _, err := s.Authenticate(ctx, "demo", secret, time.Now()); errors.Is(err, registry.ErrRefused) != disabled {
				t.Fatalf("change %d: disabled %v, and %v", n, disabled, err)
			}
		}
	}
	stop()
	asking.Wait()
}

// slowLookups delays its answers about objects that do not exist.
type slowLookups struct {
	recorder
	asked, let chan struct{}
}

func (l slowLookups) Load(ctx context.Context, key string) ([]byte, error) {
	object, err := l.memory.Load(ctx, key)
	if err != nil {
		l.asked <- struct{}{}
		<-l.let
	}
	return object, err
}

// TestStoreTakesNoClientOfAnotherCaller: a caller that found a client in memory just before a change, and calls the storage
// just after it, does not pass that client on to other callers.
func TestStoreTakesNoClientOfAnotherCaller(t *testing.T) {
	s := newUnauthenticated(t)
	slow := slowLookups{recorder{s.storage, "", &s.calls}, make(chan struct{}), make(chan struct{})}
	s.SetLookups(slow, slow)
	before, _, err := s.Authenticate(ctx, "demo", s.secret, s.now)
	if err != nil {
		t.Fatal(err)
	}
	fresh := registry.NewSecret()
	if _, err := s.EditClient(ctx, "demo", func(c *registry.Client) (*registry.Client, error) {
		c.Secrets[0].SHA256 = registry.SumSecret(fresh)
		return c, nil
	}); err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	asking.Go(func() {
		if err := s.LookUp(ctx, before); err != nil {
			t.Error(err)
		}
	})
	<-slow.asked
	for secret, want := range map[string]error{fresh: nil, s.secret: registry.ErrRefused} {
		asking.Go(func() {
			if _, _, err := s.Authenticate(ctx, "demo", secret, s.now); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		})
	}
	go func() { // the refused caller loads an object that does not exist
		for range slow.asked {
			continue
		}
	}()
	time.Sleep(50 * time.Millisecond)
	close(slow.let)
	asking.Wait()
	close(slow.asked)
}

// hangingJournal is a storage that hangs when the journal is loaded.
type hangingJournal struct {
	*memory
	let chan struct{}
}

func (h hangingJournal) Load(ctx context.Context, key string) ([]byte, error) {
	if strings.HasSuffix(key, "/journal.json") {
		<-h.let
	}
	return h.memory.Load(ctx, key)
}

// TestStoreIsOpenedOnce: callers before the store is open share one look, and each waits for as long as its context allows.
func TestStoreIsOpenedOnce(t *testing.T) {
	h := hangingJournal{newMemory(), make(chan struct{})}
	s := newStore(h)
	var asking sync.WaitGroup
	for range 50 {
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, _, err := s.Authenticate(ctx, "demo", registry.NewSecret(), time.Now()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("while the storage hangs: %v", err)
			}
		})
	}
	asking.Wait()
	h.fail = func(string, string) error { return errDisk }
	close(h.let)
	if err := s.Open(ctx); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("opening says %v", err)
	}
	if h.loads > 2 { // the look for all of them, and at most one more
		t.Errorf("the journal was loaded %d times", h.loads)
	}
	h.failing("nothing", "")
	if err := s.Open(ctx); err != nil {
		t.Errorf("opening, once the storage is back: %v", err)
	}
}
