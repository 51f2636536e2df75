package storage

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// maxUnauthenticatedCalls bounds the calls in progress that unauthenticated callers cause.
	maxUnauthenticatedCalls = 20
	// quotaWait bounds how long such a caller waits for its call to begin, and maxQuotaWaiting how many wait.
	quotaWait       = 5 * time.Second
	maxQuotaWaiting = 1000
)

// ErrTooManyUnauthenticated is the error of a call for an unauthenticated caller that was not made.
var ErrTooManyUnauthenticated = errors.New("too many unauthenticated callers wait for the storage")

// quota is the part of a storage's slots that unauthenticated callers may use. They wait for it in turn, so that a flood
// of them leaves slots for all other callers.
type quota struct {
	slots   chan struct{} // one for each call in progress
	waiting atomic.Int64
}

// enter waits for a slot. It fails if too many callers wait or the wait takes too long. A nil quota has no bound.
func (q *quota) enter(ctx context.Context) error {
	if q == nil {
		return nil
	}
	if q.waiting.Add(1) > maxQuotaWaiting {
		q.waiting.Add(-1)
		return ErrTooManyUnauthenticated
	}
	defer q.waiting.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, quotaWait)
	defer cancel()
	select {
	case q.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrTooManyUnauthenticated, ctx.Err())
	}
}

func (q *quota) leave() {
	if q != nil {
		<-q.slots
	}
}
