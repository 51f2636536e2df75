package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// maxCalls bounds the calls of a storage in progress.
const maxCalls = 100

var (
	errWaiting        = errors.New("waiting for the storage")
	errTooManyWaiting = errors.New("waiting for the storage behind too many other calls")
	errLateWrite      = errors.New("an earlier write to the storage is still in progress")
)

// Bounded is a storage that no caller waits for longer than its context says. Caddy's file storage ignores contexts: on
// a network file system whose server is down, each call blocks a thread of the process until the server is back. A call
// goes on after its caller has given up, and may still take effect.
type Bounded struct {
	certmagic.Storage
	*shared
	pool        Pool
	key         string // of shared in pool
	logger      *zap.Logger
	timeout     time.Duration
	listTimeout time.Duration
	done        <-chan struct{} // closed when the storage may be closed; nil if it never is
	quota       *quota          // for these calls; nil if they have none
}

// result is the result of a call.
type result[T any] struct {
	value T
	err   error
}

// call calls the storage once a slot is free, and waits for the result up to a limit. If the call takes longer, its
// result comes from late. A nil late means that the call has ended or has not begun.
func call[T any](ctx context.Context, s *Bounded, limit time.Duration, do func(context.Context) (T, error)) (r result[T], late <-chan result[T]) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if r.err = s.enter(ctx); r.err != nil {
		return r, nil
	}
	return start(ctx, s, func(ctx context.Context) (T, error) {
		defer s.leave()
		return do(ctx)
	})
}

// enter waits for a slot, first in the quota.
func (s *Bounded) enter(ctx context.Context) error {
	if err := s.quota.enter(ctx); err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		s.quota.leave()
		return fmt.Errorf("%w: %w", errTooManyWaiting, ctx.Err())
	}
}

func (s *Bounded) leave() {
	<-s.slots
	s.quota.leave()
}

// start is call without a slot and a limit. The next user of the storage counts a call that is still in progress after
// Close.
func start[T any](ctx context.Context, s *Bounded, do func(context.Context) (T, error)) (r result[T], late <-chan result[T]) {
	done := make(chan result[T], 1)
	s.retain()
	go func() {
		defer s.release()
		value, err := do(ctx)
		done <- result[T]{value, err}
	}()
	select {
	case r = <-done:
		return r, nil
	case <-ctx.Done():
		r.err = fmt.Errorf("%w: %w", errWaiting, ctx.Err())
		return r, done
	}
}

// write changes something in the storage. A write that has begun goes on when its caller cancels. No other write begins
// before a late one has ended, because the late one could overwrite what is newer.
func (s *Bounded) write(ctx context.Context, do func(context.Context) error) error {
	err := s.writeInTurn(ctx, do)
	if err == nil || errors.Is(err, fs.ErrNotExist) { // another node has deleted it
		s.writes.Succeeded()
	} else {
		s.writes.Failed(err)
	}
	return err
}

func (s *Bounded) writeInTurn(ctx context.Context, do func(context.Context) error) error {
	if s.lateWrites.Load() > 0 {
		return errLateWrite
	}
	whole := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		whole, cancel = context.WithDeadline(whole, deadline)
		defer cancel()
	}
	r, late := call(whole, s, s.timeout, func(ctx context.Context) (struct{}, error) { return struct{}{}, do(ctx) })
	s.trackLateWrite(late)
	return r.err
}

// trackLateWrite counts a late write until it ends.
func (s *Bounded) trackLateWrite(late <-chan result[struct{}]) {
	if late == nil {
		return
	}
	s.lateWrites.Add(1)
	go func() {
		<-late
		s.lateWrites.Add(-1)
		s.retryUnlocks()
	}()
}

// Load loads an object.
func (s *Bounded) Load(ctx context.Context, key string) ([]byte, error) {
	r, _ := call(ctx, s, s.timeout, func(ctx context.Context) ([]byte, error) { return s.Storage.Load(ctx, key) })
	return r.value, r.err
}

// List lists the objects below a path.
func (s *Bounded) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	r, _ := call(ctx, s, s.listTimeout, func(ctx context.Context) ([]string, error) { return s.Storage.List(ctx, path, recursive) })
	return r.value, r.err
}

// Exists reports whether an object exists, and false if the storage does not answer.
func (s *Bounded) Exists(ctx context.Context, key string) bool {
	exists, _ := s.Has(ctx, key)
	return exists
}

// Has reports whether an object exists. It fails if the storage does not answer.
func (s *Bounded) Has(ctx context.Context, key string) (bool, error) {
	r, _ := call(ctx, s, s.timeout, func(ctx context.Context) (bool, error) { return s.Storage.Exists(ctx, key), nil })
	return r.value, r.err
}

// Store stores an object. After an error it may be stored all the same.
func (s *Bounded) Store(ctx context.Context, key string, value []byte) error {
	return s.write(ctx, func(ctx context.Context) error { return s.Storage.Store(ctx, key, value) })
}

// Delete deletes an object. After an error it may be deleted all the same.
func (s *Bounded) Delete(ctx context.Context, key string) error {
	return s.write(ctx, func(ctx context.Context) error { return s.Storage.Delete(ctx, key) })
}
