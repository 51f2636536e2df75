package policy

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Failures are the decisions of a policy that gave an [Error].
type Failures struct {
	// Count is how many there were since the policy is in force, on this node.
	Count int
	// Last is when the last one was, and Err is its error.
	Last time.Time
	Err  *Error
}

// failed counts failures. It is safe for concurrent use.
type failed struct {
	mu  sync.Mutex
	all Failures
}

// add counts an error that is the policy's fault, and not that of a caller who gave up.
func (f *failed) add(err error) {
	var failure *Error
	if !errors.As(err, &failure) || failure.Kind == Canceled || failure.Kind == NotReady {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = Failures{f.all.Count + 1, time.Now(), failure}
}

func (f *failed) get() Failures {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all
}

// decideOn answers a question as a decision, whose failure counts.
func decideOn[T any](ctx context.Context, e *Engine, q question[T]) (T, error) {
	answer, err := ask(ctx, e, q, e.cfg.Timeout)
	if err != nil {
		q.snapshot.failed.add(err)
	}
	return answer, err
}
