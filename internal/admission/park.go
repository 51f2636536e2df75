package admission

import (
	"context"
	"time"
)

// waiter is a request that waits for its turn.
type waiter struct {
	client     *client
	prev, next *waiter // of the same client
	work       time.Duration
	ready      chan struct{} // closed when it has its pass
	pass       Pass
}

// waiters are the waiting requests of a client, in the order in which they came.
type waiters struct {
	first, last *waiter
	count       int
}

func (q *waiters) push(w *waiter) {
	w.prev = q.last
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
	q.count++
}

func (q *waiters) remove(w *waiter) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	q.count--
}

// park makes a request of the client wait.
func (c *Control) park(cl *client) *waiter {
	w := &waiter{client: cl, work: cl.expected(c.average), ready: make(chan struct{})}
	cl.queue.push(w)
	cl.work += w.work
	c.work += w.work
	c.parked++
	if cl.queue.count == 1 {
		cl.virtual = max(cl.virtual, c.virtual) // a client saves up no turns
		c.turns.add(cl)
	}
	c.startTicking()
	return w
}

// unpark ends a wait.
func (c *Control) unpark(w *waiter) {
	cl := w.client
	cl.queue.remove(w)
	cl.work -= w.work
	c.work -= w.work
	c.parked--
	if cl.queue.count == 0 {
		c.turns.remove(cl)
	}
}

// wait waits for the turn of a request that is parked.
func (c *Control) wait(ctx context.Context, w *waiter) (Pass, *Refusal) {
	timer := time.NewTimer(MaxWait)
	defer timer.Stop()
	refusal := &Refusal{Reason: Waited, RetryAfter: MaxWait}
	select {
	case <-w.ready:
		return w.pass, nil
	case <-timer.C:
	case <-ctx.Done():
		refusal = &Refusal{Reason: Gone, RetryAfter: MaxWait}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.pass.control != nil { // its turn came at the same time
		return w.pass, nil
	}
	c.unpark(w)
	w.client.inside--
	return Pass{}, refusal
}

// crowded refuses a request that would wait for too long.
func (c *Control) crowded(cl *client) *Refusal {
	expected := c.expectedWait(cl)
	if expected > MaxWait || c.parked >= maxParked || cl.queue.count >= maxParkedByClient {
		return &Refusal{Reason: Crowded, RetryAfter: max(expected, MaxWait)}
	}
	return nil
}

// expectedWait estimates how long the client's next request would wait: for the client's own requests, and for as much
// work of each other client as the client will have had by then.
func (c *Control) expectedWait(cl *client) time.Duration {
	ahead := cl.work + cl.expected(c.average) + max(0, cl.virtual-c.virtual)
	others := min(c.work-cl.work, time.Duration(c.turns.Len())*ahead)
	return (cl.work + others) / time.Duration(c.slots)
}
