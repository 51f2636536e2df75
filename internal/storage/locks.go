package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/poll"
)

// The time between two attempts to release a lock doubles from unlockWait to maxUnlockWait.
const (
	unlockWait    = 100 * time.Millisecond
	maxUnlockWait = time.Minute
)

var errUnreleased = errors.New("the storage has not released the lock since it was last held")

// takenLock is a lock that this process has taken.
type takenLock struct {
	number  uint64    // tells it from earlier locks of this process
	created time.Time // when it was taken, to the nanosecond, which tells it from other locks of its name; zero if not known
	note    *os.File  // open for as long as the lock is taken; nil if there is none
}

// unreleasedLock is a lock that this process has and no longer needs: the storage failed to release it, or a write under
// it is still in progress. This process must release it, because no other can: Caddy's file storage refreshes a lock for
// as long as the process lives that took it.
type unreleasedLock struct {
	takenLock
	retry    chan struct{} // asks for an attempt now
	released chan struct{} // closed when the lock is no longer unreleased
}

// Lock waits for a lock. A lock that comes after the caller has given up is released.
func (s *Bounded) Lock(ctx context.Context, name string) error {
	if s.lateWrites.Load() > 0 {
		return errLateWrite
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.awaitRelease(ctx, name); err != nil {
		return err
	}
	r, late := call(ctx, s, s.timeout, func(ctx context.Context) (struct{}, error) {
		err := s.lockOrBreak(ctx, name)
		if err == nil {
			s.recordLock(ctx, name)
		}
		return struct{}{}, err
	})
	if late != nil {
		go func() {
			if taken := <-late; taken.err == nil {
				_ = s.Unlock(context.WithoutCancel(ctx), name)
			}
		}()
	}
	return r.err
}

// Unlock releases a lock, now or, after an error, later. It needs no slot, because others wait for the lock.
func (s *Bounded) Unlock(ctx context.Context, name string) error {
	if s.lateWrites.Load() > 0 { // perhaps under this lock
		s.unlockLater(name, s.lastTaken(name))
		return fmt.Errorf("keeping the lock: %w", errLateWrite)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	taken := s.lastTaken(name)
	r, late := start(ctx, s, func(ctx context.Context) (struct{}, error) {
		err := s.Storage.Unlock(ctx, name)
		if isReleased(err) {
			_ = taken.note.Close()
		} else {
			s.unlockLater(name, taken)
		}
		return struct{}{}, err
	})
	s.trackLateWrite(late)
	return r.err
}

// isReleased reports whether an attempt to release a lock has released it. A lock that does not exist was stale, and
// another node has removed it.
func isReleased(err error) bool { return err == nil || errors.Is(err, fs.ErrNotExist) }

// unlockLater has a lock released in the background, unless the storage released it and this process has taken it again.
func (s *Bounded) unlockLater(name string, taken takenLock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unreleased[name] != nil || s.taken[name].number != taken.number {
		return
	}
	lock := &unreleasedLock{takenLock: taken, retry: make(chan struct{}, 1), released: make(chan struct{})}
	s.unreleased[name] = lock
	s.retain()
	go s.retryUnlock(name, lock)
}

// retryUnlock tries to release a lock until it succeeds, or until the storage may be closed and has failed for a while.
func (s *Bounded) retryUnlock(name string, lock *unreleasedLock) {
	defer s.release()
	for wait := unlockWait; ; wait = min(2*wait, maxUnlockWait) {
		select {
		case <-lock.released:
			return
		case <-lock.retry:
			wait = unlockWait
		case <-time.After(wait):
		}
		if s.lateWrites.Load() > 0 {
			continue
		}
		if s.tryUnlock(name, lock) || wait == maxUnlockWait && s.mayBeClosed() {
			_ = lock.note.Close()
			s.markReleased(name, lock)
			return
		}
	}
}

// tryUnlock reports whether this process no longer has the lock.
func (s *Bounded) tryUnlock(name string, lock *unreleasedLock) bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	now := s.createdAt(ctx, name)
	if !now.IsZero() && !lock.created.IsZero() && !now.Equal(lock.created) {
		return true // it was stale, and another process has it
	}
	select {
	case <-lock.released: // this process has taken it again
		return true
	default:
	}
	return isReleased(s.Storage.Unlock(ctx, name))
}

// createdAt returns when a lock was taken, zero if that is not known. It reads the private format of certmagic's lock
// files, because that time alone tells the lock of this process from a later one of another process, which
// TestLockThatAnotherNodeHas and TestNotesOfLocks check.
func (s *Bounded) createdAt(ctx context.Context, name string) time.Time {
	if _, ok := s.Storage.(fileStorage); !ok {
		return time.Time{}
	}
	var lock lockTimes
	object, err := s.Storage.Load(ctx, lockKey(name))
	if err != nil || json.Unmarshal(object, &lock) != nil {
		return time.Time{}
	}
	return lock.Created
}

func lockKey(name string) string { return "locks/" + certmagic.StorageKeys.Safe(name) + ".lock" }

// lockOrBreak waits for a lock. It breaks a file lock of a process of this host that has ended.
func (s *Bounded) lockOrBreak(ctx context.Context, name string) error {
	files, ok := s.Storage.(fileStorage)
	if !ok || bootID() == "" {
		return s.Storage.Lock(ctx, name)
	}
	look := func() {
		if breakDeadLock(files.Filename(lockKey(name))) {
			s.logger.Info("took a lock from a process that has ended", zap.String("lock", name))
		}
	}
	look()
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	go poll.Every(waiting, ownerInterval, look)
	return s.Storage.Lock(ctx, name)
}

func (s *Bounded) mayBeClosed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// recordLock records that this process has taken a lock. If the lock was unreleased, the storage had released it.
func (s *Bounded) recordLock(ctx context.Context, name string) {
	_ = s.lastTaken(name).note.Close() // an open note would keep this process from making another
	taken := takenLock{created: s.createdAt(ctx, name)}
	if files, ok := s.Storage.(fileStorage); ok {
		taken.note = noteLock(files.Filename(lockKey(name)), taken.created)
	}
	s.mu.Lock()
	unreleased := s.unreleased[name]
	s.locks++
	taken.number = s.locks
	s.taken[name] = taken
	s.mu.Unlock()
	s.markReleased(name, unreleased)
}

// awaitRelease waits until a lock is not unreleased.
func (s *shared) awaitRelease(ctx context.Context, name string) error {
	s.mu.Lock()
	lock := s.unreleased[name]
	s.mu.Unlock()
	if lock == nil {
		return nil
	}
	lock.retryNow()
	select {
	case <-lock.released:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errUnreleased, ctx.Err())
	}
}

// lastTaken returns the last lock of that name, zero if there was none.
func (s *shared) lastTaken(name string) takenLock {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken[name]
}

func (s *shared) markReleased(name string, lock *unreleasedLock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lock != nil && s.unreleased[name] == lock {
		delete(s.unreleased, name)
		close(lock.released)
	}
}

// retryUnlocks tries to release all unreleased locks now.
func (s *shared) retryUnlocks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, lock := range s.unreleased {
		lock.retryNow()
	}
}

func (l *unreleasedLock) retryNow() {
	select {
	case l.retry <- struct{}{}:
	default:
	}
}
