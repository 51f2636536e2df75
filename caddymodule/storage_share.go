package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// strangerCalls bounds the calls of a storage that unauthenticated callers cause at a time.
	strangerCalls = 20
	// strangerWait bounds the wait of such a caller, and maxStrangersWaiting how many wait.
	strangerWait        = 5 * time.Second
	maxStrangersWaiting = 1000
)

var errTooManyStrangers = errors.New("too many unauthenticated callers wait for the storage")

// share is the part of a storage's places that unauthenticated callers may take. They wait for it in turn, so that a
// flood of them leaves places for all other callers.
type share struct {
	places  chan struct{} // one for each call that is under way
	waiting atomic.Int64
}

// enter waits for a place. It fails when too many callers wait or the wait takes too long. A nil share has no bound.
func (s *share) enter(ctx context.Context) error {
	if s == nil {
		return nil
	}
	if s.waiting.Add(1) > maxStrangersWaiting {
		s.waiting.Add(-1)
		return errTooManyStrangers
	}
	defer s.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, strangerWait)
	defer cancel()
	select {
	case s.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errTooManyStrangers, ctx.Err())
	}
}

func (s *share) leave() {
	if s != nil {
		<-s.places
	}
}
