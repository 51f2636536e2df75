package storage

import (
	"errors"
	"sync"
	"testing"
	"time"
)

// TestStrangersHaveAShareOfTheStorage: when many of them ask a storage that hangs, other callers still find a place.
func TestStrangersHaveAShareOfTheStorage(t *testing.T) {
	hanging := newHangingStorage(t)
	bounded := impatient(hanging)
	strangers := (&Storage{bounded}).ForUnauthenticated()
	var asking sync.WaitGroup
	for n := range maxCalls + 50 {
		asking.Go(func() {
			err := func() error { _, err := strangers.Load(t.Context(), "k"); return err }()
			if n%2 == 0 {
				_, err = strangers.Has(t.Context(), "k")
			}
			if err == nil {
				t.Error("the storage has answered")
			}
		})
	}
	asking.Wait()
	if _, err := strangers.Has(t.Context(), "k"); !errors.Is(err, ErrTooManyUnauthenticated) {
		t.Errorf("one more stranger gets %v", err)
	}
	if hanging.begun() != maxUnauthenticatedCalls {
		t.Errorf("%d calls of strangers are under way", hanging.begun())
	}
	_, _ = bounded.Load(t.Context(), "k")
	soon(t, "a call of another has begun", func() bool { return hanging.begun() == maxUnauthenticatedCalls+1 })
	hanging.letGo()
	strangers.timeout = time.Minute
	for range 2 * maxCalls {
		if _, err := strangers.Load(t.Context(), "k"); err != nil {
			t.Fatalf("when the storage answers, a stranger gets %v", err)
		}
	}
	soon(t, "all places are free", func() bool { return len(bounded.slots) == 0 && len(bounded.unauthenticated.slots) == 0 })
}

// TestStrangersThatWaitAreCounted: when as many wait as may, the next one is refused at once.
func TestStrangersThatWaitAreCounted(t *testing.T) {
	hanging := newHangingStorage(t)
	bounded := openBounded(hanging)
	strangers := (&Storage{bounded}).ForUnauthenticated()
	var asking sync.WaitGroup
	for range maxUnauthenticatedCalls + maxQuotaWaiting {
		asking.Go(func() { _, _ = strangers.Load(t.Context(), "k") })
	}
	soon(t, "as many as may wait", func() bool {
		return hanging.begun() == maxUnauthenticatedCalls && bounded.unauthenticated.waiting.Load() == maxQuotaWaiting
	})
	begun := time.Now()
	if _, err := strangers.Load(t.Context(), "k"); !errors.Is(err, ErrTooManyUnauthenticated) || time.Since(begun) > quotaWait/2 {
		t.Errorf("one more gets %v, after %s", err, time.Since(begun))
	}
	hanging.letGo()
	asking.Wait()
}
