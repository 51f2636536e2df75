package storage

import (
	"errors"
	"sync"
	"testing"
	"time"
)

// TestUnauthenticatedCallersHaveAQuota: when many of them call a storage that hangs, other callers still find a slot.
func TestUnauthenticatedCallersHaveAQuota(t *testing.T) {
	hanging := newHangingStorage(t)
	bounded := impatient(hanging)
	limited := (&Storage{bounded}).ForUnauthenticated()
	var asking sync.WaitGroup
	for n := range maxCalls + 50 {
		asking.Go(func() {
			err := func() error { _, err := limited.Load(t.Context(), "k"); return err }()
			if n%2 == 0 {
				_, err = limited.Has(t.Context(), "k")
			}
			if err == nil {
				t.Error("the storage has answered")
			}
		})
	}
	asking.Wait()
	if _, err := limited.Has(t.Context(), "k"); !errors.Is(err, ErrTooManyUnauthenticated) {
		t.Errorf("one more caller gets %v", err)
	}
	if hanging.begun() != maxUnauthenticatedCalls {
		t.Errorf("%d calls are in progress", hanging.begun())
	}
	_, _ = bounded.Load(t.Context(), "k")
	soon(t, "a call of another has begun", func() bool { return hanging.begun() == maxUnauthenticatedCalls+1 })
	hanging.letGo()
	limited.timeout = time.Minute
	for range 2 * maxCalls {
		if _, err := limited.Load(t.Context(), "k"); err != nil {
			t.Fatalf("when the storage answers, a caller gets %v", err)
		}
	}
	soon(t, "all slots are free", func() bool { return len(bounded.slots) == 0 && len(bounded.unauthenticated.slots) == 0 })
}

// TestWaitingCallersAreCounted: when as many wait as may, the next one is refused at once.
func TestWaitingCallersAreCounted(t *testing.T) {
	hanging := newHangingStorage(t)
	bounded := openBounded(hanging)
	limited := (&Storage{bounded}).ForUnauthenticated()
	var asking sync.WaitGroup
	for range maxUnauthenticatedCalls + maxQuotaWaiting {
		asking.Go(func() { _, _ = limited.Load(t.Context(), "k") })
	}
	soon(t, "as many as may wait", func() bool {
		return hanging.begun() == maxUnauthenticatedCalls && bounded.unauthenticated.waiting.Load() == maxQuotaWaiting
	})
	begun := time.Now()
	if _, err := limited.Load(t.Context(), "k"); !errors.Is(err, ErrTooManyUnauthenticated) || time.Since(begun) > quotaWait/2 {
		t.Errorf("one more gets %v, after %s", err, time.Since(begun))
	}
	hanging.letGo()
	asking.Wait()
}
