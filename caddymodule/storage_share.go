package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// strangerCalls is how many of the calls of a storage may be caused by callers that have not authenticated.
	strangerCalls = 20
	// strangerWait is how long such a caller waits for its turn, and maxStrangersWaiting how many do.
	strangerWait        = 5 * time.Second
	maxStrangersWaiting = 1000
)

var errTooManyStrangers = errors.New("waiting for the storage, as many callers do that have not authenticated")

// share is the part of a storage's places that callers may take who have not authenticated. They wait for it in turn, so
// that whatever they send, everybody else finds a place.
type share struct {
	places  chan struct{} // one for each call that is under way
	waiting atomic.Int64
}

// enter waits for a place. A nil share is all that the storage has.
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
