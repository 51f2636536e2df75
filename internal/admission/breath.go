package admission

import (
	"os"
	"time"
)

// stretch is how long requests hand over their slots to each other before the scheduler gets a pause.
//
// A goroutine that is made ready by another one runs next, before all that wait for a processor. And Go's scheduler asks
// the network only when no goroutine is ready to run, or else every 10 ms. Thus requests that hand over slots without a
// pause would let nothing else run for as long, such as a proxied request, which needs the scheduler several times.
const stretch = 300 * time.Microsecond

// fewRequests begin without a pause while none waits. On one processor none may ever wait, because each request has its
// slot for as long as it runs, and yet thousands may be ready to run. In a pause, they come to wait for their turn instead.
// Requests that take long are not few once they have worked for longer than fewWork, which is more than usual ones take
// together: a client with large requests on many connections would otherwise have several before others come to wait.
const (
	fewRequests = 4
	fewWork     = 2 * stretch
)

// breath pauses a Control until the scheduler has asked the network.
type breath struct {
	begin func()        // ends with a call of breathed after the scheduler has asked the network; nil if there are no pauses
	due   bool          // whether a pause has begun
	count int           // requests that began since the last pause
	work  time.Duration // that requests had done since then, once they left
	last  time.Time     // the end of the last pause
}

// Breathe makes the control pause regularly while requests wait. A pause ends with what comes out of a pipe, which the
// scheduler reads together with the network. Breathe is for the one control of a process. It does nothing if the system has
// no pipe left.
func (c *Control) Breathe() {
	read, write, err := os.Pipe()
	if err != nil {
		return
	}
	one := []byte{0}
	c.mu.Lock()
	c.breath.begin = func() { _, _ = write.Write(one) }
	c.mu.Unlock()
	go func() {
		for into := make([]byte, 1); ; c.breathed() {
			if _, err := read.Read(into); err != nil {
				return // tick ends the pauses
			}
		}
	}()
}

// mustBegin reports whether it is time for a pause, which it then begins, if so many requests, or large ones, have begun since the last
// one.
func (b *breath) mustBegin(now time.Time, requests int) bool {
	few := b.count < requests && b.work < fewWork
	if b.begin == nil || b.due || few || now.Sub(b.last) < stretch {
		return false
	}
	b.due = true
	return true
}

// end ends a pause.
func (b *breath) end(now time.Time) { b.due, b.count, b.work, b.last = false, 0, 0, now }

// breathed ends a pause and goes on.
func (c *Control) breathed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.breath.end(now)
	c.dispatch(now)
}
