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

// hold gives a slot to a request of the client. The client pays in advance what its requests take on average, so that it
// does not get all slots at once.
func (c *Control) hold(cl *client, now time.Time) Pass {
	cl.virtual = max(cl.virtual, c.virtual)
	c.virtual = cl.virtual
	c.turns.served(cl)
	charge := max(cl.expected(c.average), time.Microsecond)
	c.charge(cl, charge)
	place := 0
	for c.holders[place].client != nil {
		place++
	}
	c.holders[place] = holder{client: cl, since: now, charged: charge}
	c.holding++
	c.breath.count++
	return Pass{control: c, client: cl, place: place}
}

// release takes the slot of a request back, and charges its client for what it has taken.
func (c *Control) release(place int, now time.Time) {
	h := c.holders[place]
	c.holders[place] = holder{}
	c.holding--
	if h.over {
		c.over--
		h.client.over--
	}
	took := max(now.Sub(h.since), time.Microsecond)
	c.charge(h.client, took-h.charged)
	c.breath.work += took
	h.client.average = moved(h.client.expected(c.average), took)
	c.average = moved(c.average, took)
	if c.holding == 0 && c.parked == 0 {
		c.virtual = c.latest // none is owed a turn
	}
}

// charge moves the client's next turn.
func (c *Control) charge(cl *client, took time.Duration) {
	cl.virtual += took
	c.latest = max(c.latest, cl.virtual)
	c.turns.moved(cl)
}

// moved returns a moving average.
func moved(average, value time.Duration) time.Duration { return average + (value-average)/8 }

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
