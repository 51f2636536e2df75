package storage

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
)

// unlocking is a storage that fails to release locks for as long as fail has an error.
type unlocking struct {
	certmagic.Storage // nil: what it is not expected to be asked for
	lock              chan struct{}
	fail              atomic.Pointer[error]
	frees             bool          // although it says that it has failed
	late              time.Duration // from then until it says so
	tries             atomic.Int64
}

func newUnlocking() *unlocking { return &unlocking{lock: make(chan struct{}, 1)} }

func (s *unlocking) failing(err error) { s.fail.Store(&err) }

func (s *unlocking) Lock(ctx context.Context, _ string) error {
	select {
	case s.lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *unlocking) Unlock(context.Context, string) error {
	s.tries.Add(1)
	err := s.fail.Load()
	if err == nil || *err == nil || s.frees {
		<-s.lock
		time.Sleep(s.late)
	}
	if err == nil {
		return nil
	}
	return *err
}

func mustLock(t *testing.T, s certmagic.Storage) {
	t.Helper()
	if err := s.Lock(t.Context(), "k"); err != nil {
		t.Fatalf("locking says %v", err)
	}
}

// unlockFails takes a lock whose release fails.
func unlockFails(t *testing.T, s certmagic.Storage, want error) {
	t.Helper()
	mustLock(t, s)
	if err := s.Unlock(t.Context(), "k"); !errors.Is(err, want) {
		t.Fatalf("unlocking says %v", err)
	}
}

func TestUnreleasedLock(t *testing.T) {
	for _, outage := range []time.Duration{0, time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			storage := newUnlocking()
			storage.failing(errDown)
			unlockFails(t, openBounded(storage), errDown)
			time.Sleep(outage)
			if tries := storage.tries.Load(); tries > 10+int64(outage/maxUnlockWait) {
				t.Errorf("in %s there were %d tries", outage, tries)
			}
			storage.failing(nil)
			healed := time.Now()
			mustLock(t, storage) // another node
			if took := time.Since(healed); took > min(unlockWait+outage, maxUnlockWait) {
				t.Errorf("%s after an outage of %s another node has the lock", took, outage)
			}
		})
	}
}

// TestLockOfAnUnreleasedLock waits for its release, but no longer than for another call.
func TestLockOfAnUnreleasedLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newUnlocking()
		bounded := openBounded(storage)
		storage.failing(errDown)
		unlockFails(t, bounded, errDown)
		time.Sleep(time.Hour)
		began := time.Now()
		if err := bounded.Lock(t.Context(), "k"); !errors.Is(err, errUnreleased) || time.Since(began) != callTimeout {
			t.Errorf("after %s locking says %v", time.Since(began), err)
		}
		storage.failing(nil)
		began = time.Now()
		mustLock(t, bounded)
		if took := time.Since(began); took > unlockWait {
			t.Errorf("when the storage takes it back, locking takes %s", took)
		}
		if err := bounded.Unlock(t.Context(), "k"); err != nil {
			t.Errorf("unlocking says %v", err)
		}
	})
}

// TestUnreleasedLockOfAClosedStorage: a storage that may be closed is not called forever.
func TestUnreleasedLockOfAClosedStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newUnlocking()
		bounded := openBounded(storage)
		closed := make(chan struct{})
		bounded.done = closed
		storage.failing(errDown)
		unlockFails(t, bounded, errDown)
		time.Sleep(time.Hour)
		before := storage.tries.Load()
		close(closed)
		time.Sleep(time.Hour)
		if tries := storage.tries.Load() - before; tries != 1 {
			t.Errorf("there were %d tries afterwards", tries)
		}
	})
}

// TestLockThatIsGone is not released again, because another process may have taken it since.
func TestLockThatIsGone(t *testing.T) {
	t.Run("it was stale", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			storage := newUnlocking()
			storage.failing(fs.ErrNotExist)
			unlockFails(t, openBounded(storage), fs.ErrNotExist)
			time.Sleep(time.Hour)
			if tries := storage.tries.Load(); tries != 1 {
				t.Errorf("there were %d tries", tries)
			}
		})
	})
	for name, late := range map[string]time.Duration{"it was released all the same": 0, "it was taken again before the answer": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage := newUnlocking()
				storage.late = late
				bounded := openBounded(storage)
				mustLock(t, bounded)
				taken := make(chan error)
				go func() { taken <- bounded.Lock(t.Context(), "k") }()
				synctest.Wait()
				storage.frees = true
				storage.failing(errDown)
				if err := bounded.Unlock(t.Context(), "k"); !errors.Is(err, errDown) {
					t.Errorf("unlocking says %v", err)
				}
				if err := <-taken; err != nil {
					t.Errorf("locking says %v", err)
				}
				time.Sleep(time.Hour)
				if tries := storage.tries.Load(); tries != 1 {
					t.Errorf("there were %d tries", tries)
				}
			})
		})
	}
}

// unlockingFiles is a file storage that fails to release locks for as long as fail is set.
type unlockingFiles struct {
	*certmagic.FileStorage
	fail  atomic.Bool
	tries atomic.Int64
}

func newUnlockingFiles(t *testing.T) *unlockingFiles {
	return &unlockingFiles{FileStorage: &certmagic.FileStorage{Path: t.TempDir()}}
}

func (s *unlockingFiles) Unlock(ctx context.Context, name string) error {
	s.tries.Add(1)
	if s.fail.Load() {
		return errDown
	}
	return s.FileStorage.Unlock(ctx, name)
}

// TestLockThatAnotherNodeHas is not released by this node, whose lock of that name became stale.
func TestLockThatAnotherNodeHas(t *testing.T) {
	files := newUnlockingFiles(t)
	files.fail.Store(true)
	bounded := openBounded(files)
	unlockFails(t, bounded, errDown)
	if err := os.Remove(files.Filename("locks/k.lock")); err != nil {
		t.Fatal(err)
	}
	other := &certmagic.FileStorage{Path: files.Path}
	mustLock(t, other)
	files.fail.Store(false)
	soon(t, "this node is done with it", func() bool {
		bounded.mu.Lock()
		defer bounded.mu.Unlock()
		return len(bounded.unreleased) == 0
	})
	if _, err := os.Stat(files.Filename("locks/k.lock")); err != nil {
		t.Errorf("the lock of the other node: %v", err)
	}
	if err := other.Unlock(t.Context(), "k"); err != nil {
		t.Error(err)
	}
}

// TestLockOfAWriteThatTakesTooLong is kept until the write has ended, because another node would write at the same time.
func TestLockOfAWriteThatTakesTooLong(t *testing.T) {
	hanging := newHangingStorage(t)
	bounded := impatient(hanging)
	if err := bounded.Store(t.Context(), "k", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("storing says %v", err)
	}
	began := time.Now()
	if err := bounded.Unlock(t.Context(), "k"); !errors.Is(err, errLateWrite) || time.Since(began) > time.Second {
		t.Errorf("after %s unlocking says %v", time.Since(began), err)
	}
	time.Sleep(2 * unlockWait)
	if hanging.begun() != 1 {
		t.Errorf("begun were %v", hanging.came)
	}
	hanging.letGo()
	soon(t, "the lock is given back", func() bool { return hanging.saw("store", "unlock") })
	bounded.timeout = time.Minute
	mustLock(t, bounded)
}

// TestUnlockThatFailsTooLate: it fails after its caller has given up.
func TestUnlockThatFailsTooLate(t *testing.T) {
	hanging := newHangingStorage(t)
	failing := &failingOnce{hangingStorage: hanging}
	bounded := impatient(failing)
	if err := bounded.Unlock(t.Context(), "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("unlocking says %v", err)
	}
	hanging.letGo()
	soon(t, "the lock is given back", func() bool { return hanging.saw("unlock", "unlock") })
}

// failingOnce fails to release a lock the first time.
type failingOnce struct {
	*hangingStorage
	failed atomic.Bool
}

func (s *failingOnce) Unlock(ctx context.Context, name string) error {
	_ = s.hangingStorage.Unlock(ctx, name)
	if s.failed.CompareAndSwap(false, true) {
		return errDown
	}
	return nil
}
