package admission

import (
	"context"
	"time"
)

// waiter is a request that waits for its turn. It is reused, because under load most requests wait.
type waiter struct {
	client     *client
	prev, next *waiter // of the same client
	work       time.Duration
	ready      chan Pass   // has room for the pass
	timer      *time.Timer // of MaxWait
}

// newWaiter returns a waiter that is in no queue, and whose time runs. wait gives it back.
func (c *Control) newWaiter() *waiter {
	if w, ok := c.waiters.Get().(*waiter); ok {
		w.timer.Reset(MaxWait)
		return w
	}
	return &waiter{ready: make(chan Pass, 1), timer: time.NewTimer(MaxWait)}
}

// free gives a waiter back that is in no queue, and whose pass was taken if it had one.
func (c *Control) free(w *waiter) {
	w.timer.Stop()
	w.client = nil
	c.waiters.Put(w)
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
	w := c.newWaiter()
	w.client, w.work = cl, cl.expected(c.average)
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
	defer c.free(w)
	reason := Waited
	select {
	case pass := <-w.ready:
		return pass, nil
	case <-w.timer.C:
	case <-ctx.Done():
		reason = Gone
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case pass := <-w.ready: // its turn came at the same time
		return pass, nil
	default:
	}
	c.unpark(w)
	w.client.inside--
	return Pass{}, &Refusal{Reason: reason, RetryAfter: MaxWait}
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
	ahead := cl.work + cl.expected(c.average) + time.Duration(max(0, cl.virtual-c.virtual)*float64(c.usual))
	others := min(c.work-cl.work, time.Duration(c.turns.Len())*ahead)
	return (cl.work + others) / time.Duration(c.slots)
}
