package admission

import (
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what one client may ask of an issuer.
type Limits struct {
	// Rate is how many requests of weight Full the client may make per second in the long run. 0 means no limit.
	Rate float64
	// Burst is how many it may make at once after a pause. It is at least 1 if there is a rate.
	Burst int
	// Concurrent is how many of its requests may work or wait at a time. 0 means no limit.
	Concurrent int
}

// client is what is known of a client while it makes requests.
type client struct {
	key          Key
	older, newer *client // in the order of their last requests

	limits  Limits
	bucket  *rate.Limiter // nil if there is no rate
	refused *rate.Limiter // nil until a request is refused
	inside  int           // requests that work or wait, or have yielded

	queue   waiters
	work    time.Duration // that its waiting requests are expected to take
	average time.Duration // of the work of a request, 0 if it is not known
	price   float64       // of a request, in usual requests
	virtual float64       // the work it has had done, plus what it missed while it did not wait, in usual requests
	turn    int           // in turns, -1 if it does not wait
	order   uint64        // breaks ties
	over    int           // requests that overstay
}

// expected returns how long a request of the client is expected to work.
func (cl *client) expected(average time.Duration) time.Duration {
	if cl.average == 0 {
		return average
	}
	return cl.average
}

// setLimits takes over limits that have changed, as after a reload of the config. What the client has used stays used.
func (cl *client) setLimits(l Limits, now time.Time) {
	if cl.limits == l {
		return
	}
	cl.limits = l
	limit, burst := rate.Limit(l.Rate*Full), max(1, l.Burst)*Full
	switch {
	case l.Rate == 0:
		cl.bucket = nil
	case cl.bucket == nil:
		cl.bucket = rate.NewLimiter(limit, burst)
	default:
		cl.bucket.SetLimitAt(now, limit)
		cl.bucket.SetBurstAt(now, burst)
	}
}

// exceeds refuses a request beyond the client's limits.
func (cl *client) exceeds(weight int, now time.Time) *Refusal {
	if cl.bucket != nil {
		if missing := float64(weight) - cl.bucket.TokensAt(now); missing > 0 {
			wait := time.Duration(missing / float64(cl.bucket.Limit()) * float64(time.Second))
			return &Refusal{Reason: Rate, RetryAfter: wait}
		}
	}
	if most := cl.limits.Concurrent; most > 0 && cl.inside >= most {
		return &Refusal{Reason: Concurrent, RetryAfter: MaxWait}
	}
	return nil
}

// take takes a request from the client's rate. One that is refused for another reason takes nothing.
func (cl *client) take(weight int, now time.Time) {
	if cl.bucket != nil {
		cl.bucket.AllowN(now, weight)
	}
}

// isIdle reports whether nothing would change for a client that is forgotten: it may make a whole burst, others are owed no
// turn, and its requests are not heavier than usual.
func (cl *client) isIdle(now time.Time, virtual float64) bool {
	return cl.inside == 0 && cl.virtual <= virtual && cl.price <= 1 && isFull(cl.bucket, now) && isFull(cl.refused, now)
}

func isFull(l *rate.Limiter, now time.Time) bool {
	return l == nil || l.TokensAt(now) >= float64(l.Burst())
}
