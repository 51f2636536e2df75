package admission

import "time"

// mayStart reports whether a request of the client need not wait. While a slot is free, no other client waits that may
// have it, because dispatch has run since.
func (c *Control) mayStart(cl *client) bool {
	return c.isFree() && !c.breath.due && cl.queue.first == nil && c.mayHave(cl)
}

// isFree reports whether another request may work.
func (c *Control) isFree() bool {
	return c.holding-c.over < c.slots && c.holding < lent*c.slots
}

// mayHave reports whether the client may have the slot that is free. While requests overstay, more of them work than
// there are slots. The additional ones are for clients whose own requests do not overstay.
func (c *Control) mayHave(cl *client) bool { return c.holding < c.slots || cl.over == 0 }

// hold gives a slot to a request of the client. The client pays in advance, so that it does not get all slots at once.
func (c *Control) hold(cl *client, now time.Time) Pass {
	cl.virtual = max(cl.virtual, c.virtual)
	c.virtual = cl.virtual
	c.turns.served(cl)
	c.charge(cl)
	place := 0
	for c.holders[place].client != nil {
		place++
	}
	c.holders[place] = holder{client: cl, since: now}
	c.holding++
	c.breath.count++
	return Pass{control: c, client: cl, place: place}
}

// release takes the slot of a request back, and learns from the time that it has taken.
func (c *Control) release(place int, now time.Time) {
	h := c.holders[place]
	c.holders[place] = holder{}
	c.holding--
	if h.over {
		c.over--
		h.client.over--
	}
	took := max(now.Sub(h.since), time.Microsecond)
	c.breath.work += took
	c.learn(h.client, took)
	if c.holding == 0 && c.parked == 0 {
		c.virtual = c.latest // none is owed a turn
	}
}

// learn notes how long a request of the client took. A third of all requests take less than what is usual: where the
// requests of some clients are much heavier than those of others, those of one kind are usual, and not what is between.
func (c *Control) learn(cl *client, took time.Duration) {
	cl.average = moved(cl.expected(c.average), took)
	cl.price = priceOf(cl.average, c.usual)
	c.average = moved(c.average, took)
	if took < c.usual {
		c.usual -= c.usual / 32
	} else {
		c.usual += c.usual/64 + 1
	}
}

// charge moves the client's next turn.
func (c *Control) charge(cl *client) {
	cl.virtual += cl.price
	c.latest = max(c.latest, cl.virtual)
	c.turns.moved(cl)
}

// alike is how many times longer or shorter than usual a client's requests may take and still be charged as usual ones.
// hiccup is how many times longer than its average one request may count.
//
// What a request takes varies: the garbage collector, the scheduler or the machine stops one in some hundreds for many times
// as long as it works. If its client paid for that, it would wait until each other client has had as much work done.
const (
	alike  = 4.0
	hiccup = 8
)

// priceOf returns what a client whose requests take so long on average is charged for one, in usual requests.
func priceOf(average, usual time.Duration) float64 {
	if price := float64(average) / float64(usual); price <= 1/alike || alike <= price {
		return price
	}
	return 1
}

// moved returns a moving average.
func moved(average, value time.Duration) time.Duration {
	return average + (min(value, hiccup*average)-average)/8
}

// handOver gives slots that have become free to those that wait, at once or after a pause, which the caller must then begin
// when it has unlocked the control.
func (c *Control) handOver(now time.Time) (pause bool) {
	if c.parked > 0 && c.breath.mustBegin(now, 1) {
		return true
	}
	c.dispatch(now)
	return false
}

// dispatch gives free slots to the clients whose turn it is.
func (c *Control) dispatch(now time.Time) {
	for c.isFree() && !c.breath.due {
		cl := c.turns.next(c.mayHave)
		if cl == nil {
			return
		}
		w := cl.queue.first
		c.unpark(w)
		w.ready <- c.hold(cl, now)
	}
}

// tick finds requests that overstay, as long as others wait.
func (c *Control) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for n := range c.holders {
		h := &c.holders[n]
		if h.client != nil && !h.over && now.Sub(h.since) >= patience {
			h.over = true
			c.over++
			h.client.over++
		}
	}
	c.breath.end(now) // even if the pipe has failed
	c.dispatch(now)
	c.ticking = false
	c.startTicking()
}

func (c *Control) startTicking() {
	if c.parked > 0 && !c.ticking {
		c.ticking = true
		time.AfterFunc(patience, c.tick)
	}
}
