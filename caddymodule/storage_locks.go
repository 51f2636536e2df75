package caddymodule

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

// How long it takes until the storage is asked again to take a lock back: twice as long each time.
const (
	unlockWait    = 100 * time.Millisecond
	unlockMaxWait = time.Minute
)

var errLockKept = errors.New("the storage has not taken back the lock since it was held last")

// keptLock is a lock that this process has, and nobody in it needs: the storage did not take it back, or what was
// written under it is still under way. It is given back as soon as can be, for nobody else would do so: Caddy's file
// storage keeps a lock from becoming stale for as long as its process lives.
type keptLock struct {
	takenLock
	hurry chan struct{} // it is worth a try now
	gone  chan struct{} // closed when it is no longer kept
}

// takenLock is a lock that this process has taken.
type takenLock struct {
	created time.Time // its stamp
	note    *os.File  // open for as long as the lock is taken; nil if there is none
}

// Lock waits for a lock; one that it gets too late is given back.
func (s *boundedStorage) Lock(ctx context.Context, name string) error {
	if s.overtime.Load() > 0 {
		return errWriteUnderWay
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if err := s.awaitKept(ctx, name); err != nil {
		return err
	}
	answer, late := wait(ctx, s, s.timeout, func(ctx context.Context) (struct{}, error) {
		err := s.lockOrBreak(ctx, name)
		if err == nil {
			s.took(ctx, name)
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
	return answer.err
}

// Unlock gives a lock back, now or, after an error, later. It needs no place: others wait for the lock.
func (s *boundedStorage) Unlock(ctx context.Context, name string) error {
	if s.overtime.Load() > 0 { // a write under this lock may be among them
		s.keep(name)
		return fmt.Errorf("the lock is kept: %w", errWriteUnderWay)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	taken := s.lastTaken(name)
	answer, late := begin(ctx, func(ctx context.Context) (struct{}, error) {
		err := s.Storage.Unlock(ctx, name)
		if isGivenBack(err) {
			_ = taken.note.Close()
		} else {
			s.keep(name)
		}
		return struct{}{}, err
	})
	s.await(late)
	return answer.err
}

// isGivenBack reports whether a lock is no longer held after an attempt to give it back. One that is not there has
// become stale, and was taken away.
func isGivenBack(err error) bool { return err == nil || errors.Is(err, fs.ErrNotExist) }

// keep has a lock given back later.
func (s *boundedStorage) keep(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[name] != nil {
		return
	}
	lock := &keptLock{takenLock: s.taken[name], hurry: make(chan struct{}, 1), gone: make(chan struct{})}
	s.kept[name] = lock
	go s.giveBack(name, lock)
}

// giveBack tries until it has given a lock back, or the storage may be closed and has not taken it in a while.
func (s *boundedStorage) giveBack(name string, lock *keptLock) {
	for wait := unlockWait; ; wait = min(2*wait, unlockMaxWait) {
		select {
		case <-lock.gone:
			return
		case <-lock.hurry:
			wait = unlockWait
		case <-time.After(wait):
		}
		if s.overtime.Load() > 0 {
			continue
		}
		if s.tryGivingBack(name, lock) || wait == unlockMaxWait && s.mayBeClosed() {
			_ = lock.note.Close()
			s.letGo(name, lock)
			return
		}
	}
}

func (s *boundedStorage) tryGivingBack(name string, lock *keptLock) bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	now := s.lockStamp(ctx, name)
	if !now.IsZero() && !lock.created.IsZero() && !now.Equal(lock.created) {
		return true // it had become stale, and is somebody else's
	}
	select {
	case <-lock.gone: // this process has taken it anew
		return true
	default:
	}
	return isGivenBack(s.Storage.Unlock(ctx, name))
}

// lockStamp tells who has a lock: it is when it was taken, to the nanosecond. Only of files it is known.
func (s *boundedStorage) lockStamp(ctx context.Context, name string) time.Time {
	if _, ok := s.Storage.(fileStorage); !ok {
		return time.Time{}
	}
	var lock lockStamps
	object, err := s.Storage.Load(ctx, lockKey(name))
	if err != nil || json.Unmarshal(object, &lock) != nil {
		return time.Time{}
	}
	return lock.Created
}

func lockKey(name string) string { return "locks/" + certmagic.StorageKeys.Safe(name) + ".lock" }

// lockOrBreak waits for a lock. It breaks a file lock of a process of this host that has ended.
func (s *boundedStorage) lockOrBreak(ctx context.Context, name string) error {
	files, ok := s.Storage.(fileStorage)
	if !ok || bootID() == "" {
		return s.Storage.Lock(ctx, name)
	}
	look := func() {
		if breakDeadLock(files.Filename(lockKey(name))) {
			currentLogger().Info("took a lock from a process that has ended", zap.String("lock", name))
		}
	}
	look()
	waiting, done := context.WithCancel(ctx)
	defer done()
	go poll.Every(waiting, lockLook, look)
	return s.Storage.Lock(ctx, name)
}

func (s *boundedStorage) mayBeClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// awaitKept waits until this process no longer keeps a lock.
func (b *bounds) awaitKept(ctx context.Context, name string) error {
	b.mu.Lock()
	lock := b.kept[name]
	b.mu.Unlock()
	if lock == nil {
		return nil
	}
	lock.tryNow()
	select {
	case <-lock.gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errLockKept, ctx.Err())
	}
}

// took notes that this process has taken a lock. If one of that name was kept, the storage had given it back.
func (s *boundedStorage) took(ctx context.Context, name string) {
	_ = s.lastTaken(name).note.Close() // an open note would keep this process from making another
	taken := takenLock{created: s.lockStamp(ctx, name)}
	if files, ok := s.Storage.(fileStorage); ok {
		taken.note = noteLock(files.Filename(lockKey(name)), taken.created)
	}
	s.mu.Lock()
	kept := s.kept[name]
	s.taken[name] = taken
	s.mu.Unlock()
	s.letGo(name, kept)
}

// lastTaken returns the lock of that name that was taken last, zero if there was none.
func (b *bounds) lastTaken(name string) takenLock {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken[name]
}

// letGo ends that a lock is kept, if it still is.
func (b *bounds) letGo(name string, lock *keptLock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if lock != nil && b.kept[name] == lock {
		delete(b.kept, name)
		close(lock.gone)
	}
}

// hurry has all locks that are kept given back now, if that can be.
func (b *bounds) hurry() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, lock := range b.kept {
		lock.tryNow()
	}
}

func (l *keptLock) tryNow() {
	select {
	case l.hurry <- struct{}{}:
	default:
	}
}
