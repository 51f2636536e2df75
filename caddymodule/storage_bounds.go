package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	// storageTimeout bounds what one call waits for the storage, also where its context does not.
	storageTimeout = 20 * time.Second
	// listTimeout does so for listings, of a million objects maybe.
	listTimeout = 5 * time.Minute
	// storageCalls is how many calls may be under way at once.
	storageCalls = 100
)

var (
	errWaiting        = errors.New("waiting for the storage")
	errTooManyWaiting = errors.New("waiting for the storage, as many others do")
	errWriteUnderWay  = errors.New("what the storage was to write before is still under way")
)

// boundedStorage is a storage that nobody waits for longer than the context says. Caddy's file storage does not heed
// contexts: on a share whose server is away each of its calls waits until that is back, in a thread of the system that
// the process has only so many of. A call that nobody waits for any more goes on, and may still do what was asked.
type boundedStorage struct {
	certmagic.Storage
	*bounds
	timeout     time.Duration
	listTimeout time.Duration
	closed      <-chan struct{} // from when on the storage may be closed; nil is never
	share       *share          // of the places, for these calls; nil is all places
}

func boundStorage(storage certmagic.Storage) *boundedStorage {
	return &boundedStorage{Storage: storage, bounds: boundsOf(storage), timeout: storageTimeout, listTimeout: listTimeout}
}

// answered is what a call has answered.
type answered[T any] struct {
	value T
	err   error
}

// wait has the storage do something, once there is a place, and waits for it. Where it has waited for long enough, what
// the call answers in the end comes from late, unless that is nil: then it was not begun.
func wait[T any](ctx context.Context, s *boundedStorage, limit time.Duration, do func(context.Context) (T, error)) (answer answered[T], late <-chan answered[T]) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if answer.err = s.enter(ctx); answer.err != nil {
		return answer, nil
	}
	return begin(ctx, func(ctx context.Context) (T, error) {
		defer s.leave()
		return do(ctx)
	})
}

// enter waits for a place, first in the share. It fails when the wait takes too long.
func (s *boundedStorage) enter(ctx context.Context) error {
	if err := s.share.enter(ctx); err != nil {
		return err
	}
	select {
	case s.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		s.share.leave()
		return fmt.Errorf("%w: %w", errTooManyWaiting, ctx.Err())
	}
}

func (s *boundedStorage) leave() {
	<-s.places
	s.share.leave()
}

// begin is wait without a place.
func begin[T any](ctx context.Context, do func(context.Context) (T, error)) (answer answered[T], late <-chan answered[T]) {
	done := make(chan answered[T], 1)
	go func() {
		value, err := do(ctx)
		done <- answered[T]{value, err}
	}()
	select {
	case answer = <-done:
		return answer, nil
	case <-ctx.Done():
		answer.err = fmt.Errorf("%w: %w", errWaiting, ctx.Err())
		return answer, done
	}
}

// write has the storage change something. Whoever asked may go away: what has begun is brought to its end. Nothing else
// is written before that, however long it takes, for what is older would come to lie over what is newer.
func (s *boundedStorage) write(ctx context.Context, do func(context.Context) error) error {
	err := s.writeInTurn(ctx, do)
	if err == nil || errors.Is(err, fs.ErrNotExist) { // another node has deleted it
		s.unwritten.Succeeded()
	} else {
		s.unwritten.Failed(err)
	}
	return err
}

func (s *boundedStorage) writeInTurn(ctx context.Context, do func(context.Context) error) error {
	if s.overtime.Load() > 0 {
		return errWriteUnderWay
	}
	whole := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		whole, cancel = context.WithDeadline(whole, deadline)
		defer cancel()
	}
	answer, late := wait(whole, s, s.timeout, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx) })
	s.await(late)
	return answer.err
}

// await counts a write until it has come to its end.
func (s *boundedStorage) await(late <-chan answered[struct{}]) {
	if late == nil {
		return
	}
	s.overtime.Add(1)
	go func() {
		<-late
		s.overtime.Add(-1)
		s.hurry()
	}()
}

// Load loads an object.
func (s *boundedStorage) Load(ctx context.Context, key string) ([]byte, error) {
	answer, _ := wait(ctx, s, s.timeout, func(ctx context.Context) ([]byte, error) { return s.Storage.Load(ctx, key) })
	return answer.value, answer.err
}

// List lists the objects below a path.
func (s *boundedStorage) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	answer, _ := wait(ctx, s, s.listTimeout, func(ctx context.Context) ([]string, error) { return s.Storage.List(ctx, path, recursive) })
	return answer.value, answer.err
}

// Exists reports whether an object is there, as far as can be told.
func (s *boundedStorage) Exists(ctx context.Context, key string) bool {
	there, _ := s.Has(ctx, key)
	return there
}

// Has is Exists, with an error if the storage was not asked or has not answered.
func (s *boundedStorage) Has(ctx context.Context, key string) (bool, error) {
	answer, _ := wait(ctx, s, s.timeout, func(ctx context.Context) (bool, error) { return s.Storage.Exists(ctx, key), nil })
	return answer.value, answer.err
}

// Store stores an object. After an error it may be stored all the same.
func (s *boundedStorage) Store(ctx context.Context, key string, value []byte) error {
	return s.write(ctx, func(ctx context.Context) error { return s.Storage.Store(ctx, key, value) })
}

// Delete deletes an object.
func (s *boundedStorage) Delete(ctx context.Context, key string) error {
	return s.write(ctx, func(ctx context.Context) error { return s.Storage.Delete(ctx, key) })
}
