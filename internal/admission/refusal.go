package admission

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// Reason is why a request is refused. It is also the label of a metric.
type Reason string

// The reasons of a Refusal.
const (
	// Rate and Concurrent are the client's limits.
	Rate       Reason = "rate"
	Concurrent Reason = "concurrent"
	// Crowded is that the request would not have its turn within MaxWait, and Waited is that it did not.
	Crowded Reason = "crowded"
	Waited  Reason = "waited"
	// Gone is that the caller has gone.
	Gone Reason = "gone"
)

// Refusal says why a request does not enter.
type Refusal struct {
	Reason Reason
	// RetryAfter is how long the client should wait before it tries again.
	RetryAfter time.Duration
}

// OfClient reports whether the client has exceeded its limits. Otherwise the process has too much to do.
func (r *Refusal) OfClient() bool { return r.Reason == Rate || r.Reason == Concurrent }

const (
	// promptRate and promptBurst are how many refusals per second a client gets at once.
	promptRate, promptBurst = 10, 20
	// refusalDelay is how long the others wait. A client that goes on without a pause otherwise uses as much of the
	// processor for its refusals as for its answers.
	refusalDelay = time.Second
	// maxDelayed is how many wait at a time.
	maxDelayed = 16_384
)

// mustDelay reports whether a client has been refused so often that the next refusal waits.
func (c *Control) mustDelay(cl *client, now time.Time) bool {
	if cl.refused == nil {
		cl.refused = rate.NewLimiter(promptRate, promptBurst)
	}
	if cl.refused.AllowN(now, 1) || c.delayed >= maxDelayed {
		return false
	}
	c.delayed++
	return true
}

// delay waits before a refusal.
func (c *Control) delay(ctx context.Context) {
	timer := time.NewTimer(refusalDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	c.mu.Lock()
	c.delayed--
	c.mu.Unlock()
}
