// Package admission decides when a request of an authenticated client gets processor time, and whether it does. Its entry
// point is Control.Enter, which each request calls after its cheap checks and before its expensive work.
//
// Only a few requests work at a time. The others wait without using the processor, so that the rest of the process keeps
// its latency, and clients take turns: a client waits for its own requests, and for about one turn of each other client. A
// request that cannot have its turn in time is refused at once. Besides, each client has limits of its own. The package
// imports no other package of this module.
package admission

import (
	"context"
	"sync"
	"time"
)

const (
	// MaxWait is how long a request waits for its turn. Clients give up after some seconds, and a late answer is wasted.
	MaxWait = time.Second
	// maxParked is how many requests wait at a time, and maxParkedByClient how many of them are of one client.
	maxParked         = 16_384
	maxParkedByClient = 4_096
	// patience is how long a request holds a slot for itself. After that another one works beside it, so that a request
	// that hangs stops none.
	patience = 5 * time.Millisecond
	// lent is how many times the number of slots may work at a time if all requests hang.
	lent = 4
)

// Key names a client of an issuer.
type Key struct{ Issuer, Client string }

// Weights of requests. A client's rate is in requests of weight Full.
const (
	Full  = 10
	Light = 1
)

// Request asks to enter.
type Request struct {
	Key
	Limits
	// Weight is Full or Light.
	Weight int
}

// Control admits the requests of all clients of a process. Its methods are safe for concurrent use.
type Control struct {
	mu      sync.Mutex
	clients table

	slots   int      // how many requests work at a time, except for those that overstay
	holders []holder // by place; those with a client are in use
	holding int      // holders in use
	over    int      // holders that overstay

	turns   turns         // the clients that have requests waiting
	parked  int           // requests waiting
	work    time.Duration // that the waiting requests are expected to take
	virtual float64       // the virtual time of the client whose turn was last, in usual requests
	latest  float64       // the greatest virtual time of a client
	average time.Duration // of the work of a request
	usual   time.Duration // that a request works in most cases
	ticking bool          // whether tick is scheduled
	breath  breath
	delayed int // refusals that wait

	waiters sync.Pool // of *waiter that wait for nothing
}

// holder is a request that works.
type holder struct {
	client *client
	since  time.Time
	over   bool // whether it has held its slot for longer than patience while others wait
}

// New makes a control. That many requests work at a time, which is best the number of processors.
func New(slots int) *Control {
	c := &Control{average: 100 * time.Microsecond, usual: 100 * time.Microsecond}
	c.SetSlots(slots)
	return c
}

// SetSlots changes how many requests work at a time.
func (c *Control) SetSlots(slots int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slots = max(1, slots)
	for len(c.holders) < lent*c.slots {
		c.holders = append(c.holders, holder{})
	}
	c.dispatch(time.Now())
}

// Pass is the right to work. The zero Pass is none.
type Pass struct {
	control *Control
	client  *client
	place   int // in holders, -1 after Yield
}

// Enter waits for the request's turn. The caller must call Leave on the pass. A request that is refused has no pass.
func (c *Control) Enter(ctx context.Context, r Request) (Pass, *Refusal) {
	now := time.Now()
	c.mu.Lock()
	cl := c.clients.find(r.Key, now, c.virtual)
	cl.setLimits(r.Limits, now)
	refusal := cl.exceeds(r.Weight, now)
	if refusal == nil && !c.mayStart(cl) {
		refusal = c.crowded(cl)
	}
	if refusal != nil {
		delay := c.mustDelay(cl, now)
		c.mu.Unlock()
		if delay {
			c.delay(ctx)
		}
		return Pass{}, refusal
	}
	cl.take(r.Weight, now)
	cl.inside++
	pause := c.breath.mustBegin(now, fewRequests)
	if c.mayStart(cl) {
		pass := c.hold(cl, now)
		c.mu.Unlock()
		return pass, nil
	}
	w := c.park(cl)
	c.mu.Unlock()
	if pause {
		c.breath.begin()
	}
	return c.wait(ctx, w)
}

// Yield lets the next request work. The request still counts as one of its client until it leaves. It is for waiting for
// something else than the processor.
func (p *Pass) Yield() {
	if p.control != nil && p.place >= 0 {
		p.end(false)
	}
}

// Leave gives the pass back. A second call does nothing.
func (p *Pass) Leave() {
	if p.control != nil {
		p.end(true)
		*p = Pass{}
	}
}

func (p *Pass) end(leave bool) {
	c, pause, now := p.control, false, time.Now()
	c.mu.Lock()
	if leave {
		p.client.inside--
	}
	if p.place >= 0 {
		c.release(p.place, now)
		p.place = -1
		pause = c.handOver(now)
	}
	c.mu.Unlock()
	if pause {
		c.breath.begin()
	}
}

// Waiting returns how many requests wait for their turn.
func (c *Control) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parked
}
