package admission

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func limited(client string, l Limits) Request {
	r := by(client)
	r.Limits = l
	return r
}

// pass lets a request work for no time, and returns why it is refused.
func (c *Control) pass(t *testing.T, r Request) Reason {
	pass, refusal := c.Enter(t.Context(), r)
	if refusal != nil {
		return refusal.Reason
	}
	pass.Leave()
	return ""
}

// count returns how many requests in a row are admitted.
func (c *Control) count(t *testing.T, r Request) (n int) {
	for c.pass(t, r) == "" {
		n++
	}
	return n
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		r := limited("a", Limits{Rate: 2, Burst: 5})
		if n := c.count(t, r); n != 5 {
			t.Errorf("%d in a burst", n)
		}
		_, refusal := c.Enter(t.Context(), r)
		if refusal.Reason != Rate || refusal.RetryAfter != 500*time.Millisecond || !refusal.OfClient() {
			t.Errorf("refused with %+v", refusal)
		}
		time.Sleep(time.Second)
		if n := c.count(t, r); n != 2 {
			t.Errorf("%d after a second", n)
		}
		if reason := c.pass(t, limited("b", r.Limits)); reason != "" {
			t.Errorf("another client: %s", reason)
		}
		time.Sleep(time.Minute)
		light := r
		light.Weight = Light
		if n := c.count(t, light); n != 50 {
			t.Errorf("%d light ones in a burst", n)
		}
	})
}

// TestLimitsChange: a reload of the config or an edit of the client gives it no new burst.
func TestLimitsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		c.count(t, limited("a", Limits{Rate: 1, Burst: 5}))
		for _, l := range []Limits{{Rate: 1, Burst: 100}, {Rate: 0.001, Burst: 2}, {Rate: 1, Burst: 5}} {
			if n := c.count(t, limited("a", l)); n != 0 {
				t.Errorf("%d with %+v", n, l)
			}
		}
		if reason := c.pass(t, limited("a", Limits{})); reason != "" {
			t.Errorf("without limits: %s", reason)
		}
		time.Sleep(time.Hour)
		c.pass(t, limited("a", Limits{Rate: 1, Burst: 5}))
		time.Sleep(time.Second)
		if n := c.count(t, limited("a", Limits{Rate: 1, Burst: 3})); n != 3 {
			t.Errorf("%d with a smaller burst", n)
		}
	})
}

// TestARefusedRequestTakesNothing from the rate, if it is refused for another reason.
func TestARefusedRequestTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		r := limited("a", Limits{Rate: 1, Burst: 2, Concurrent: 1})
		pass, _ := c.Enter(t.Context(), r)
		for range 5 {
			if reason := c.pass(t, r); reason != Concurrent {
				t.Errorf("refused with %q", reason)
			}
		}
		pass.Leave()
		if reason := c.pass(t, r); reason != "" {
			t.Errorf("then refused with %q", reason)
		}
	})
}

// TestWhatCannotBeAnsweredInTimeIsRefusedAtOnce, by how long the client's own requests take, and those of others.
func TestWhatCannotBeAnsweredInTimeIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		for range 100 { // of 20 ms each
			pass, _ := c.Enter(t.Context(), by("slow"))
			time.Sleep(20 * time.Millisecond)
			pass.Leave()
		}
		quick, _ := c.Enter(t.Context(), by("quick"))
		time.Sleep(10 * time.Microsecond)
		quick.Leave()
		var all sync.WaitGroup
		var mu sync.Mutex
		reasons := make(map[Reason]int)
		start := time.Now()
		for range 100 {
			all.Go(func() {
				pass, refusal := c.Enter(t.Context(), by("slow"))
				if refusal != nil {
					mu.Lock()
					if refusal.Reason == Crowded && time.Since(start) > 0 && reasons[Crowded] < promptBurst {
						t.Errorf("refused after %s", time.Since(start))
					}
					reasons[refusal.Reason]++
					mu.Unlock()
					return
				}
				time.Sleep(20 * time.Millisecond)
				pass.Leave()
			})
			synctest.Wait()
		}
		if n := c.parked; n < 40 || n > 60 {
			t.Errorf("%d wait", n)
		}
		if reason := c.pass(t, by("quick")); reason != "" {
			t.Errorf("another client is refused: %s", reason)
		}
		all.Wait()
		if reasons[Crowded] < 40 || reasons[Waited] > 10 {
			t.Errorf("refused: %v", reasons)
		}
		c.isEmpty(t)
	})
}

// TestWhatWaitsTooLongIsRefused although it was expected to have its turn.
func TestWhatWaitsTooLongIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		pass, _ := c.Enter(t.Context(), by("a"))
		start := time.Now()
		_, refusal := c.Enter(t.Context(), by("a"))
		if refusal == nil || refusal.Reason != Waited || refusal.OfClient() || time.Since(start) != MaxWait {
			t.Errorf("after %s: %+v", time.Since(start), refusal)
		}
		pass.Leave()
		c.isEmpty(t)
	})
}

func TestHowManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		c.average = time.Nanosecond
		pass, _ := c.Enter(t.Context(), by("a"))
		var all sync.WaitGroup
		for n := range 5 {
			for range maxParkedByClient + 10 {
				all.Go(func() { c.pass(t, by(fmt.Sprint(n))) })
			}
			synctest.Wait()
			if want := min((n+1)*maxParkedByClient, maxParked); c.Waiting() != want {
				t.Errorf("%d wait, want %d", c.Waiting(), want)
			}
		}
		pass.Leave()
		all.Wait()
		c.isEmpty(t)
	})
}

// TestClientsThatGoOnAreAnsweredLater: the first refusals come at once.
func TestClientsThatGoOnAreAnsweredLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		r := limited("a", Limits{Rate: 0.001, Burst: 1})
		c.pass(t, r)
		start := time.Now()
		for range promptBurst {
			c.pass(t, r)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("the first took %s", took)
		}
		c.pass(t, r)
		if took := time.Since(start); took != refusalDelay {
			t.Errorf("the next took %s", took)
		}
		c.isEmpty(t)
	})
}

func TestIdleClientsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		used := limited("used", Limits{Rate: 0.1, Burst: 3})
		c.count(t, used)
		for n := range 10_000 {
			c.pass(t, limited(fmt.Sprint(n), Limits{Rate: 100, Burst: 10}))
			time.Sleep(time.Millisecond)
		}
		if n := len(c.clients.byKey); n > 100 {
			t.Errorf("%d clients are known", n)
		}
		if n := c.count(t, used); n != 1 {
			t.Errorf("a client with one request in 10 s may make %d after 10 s", n)
		}
		inOrder := 0
		for cl := c.clients.oldest; cl != nil; cl = cl.newer {
			inOrder++
		}
		if inOrder != len(c.clients.byKey) {
			t.Errorf("%d of %d clients are in order", inOrder, len(c.clients.byKey))
		}
	})
}

// TestMostClients: a full table forgets the oldest.
func TestMostClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		for n := range maxClients + 1000 {
			c.pass(t, limited(fmt.Sprint(n), Limits{Rate: 0.001, Burst: 10}))
		}
		if n := len(c.clients.byKey); n > maxClients {
			t.Errorf("%d clients are known", n)
		}
	})
}

func TestEnteringAllocatesNothing(t *testing.T) {
	c := New(2)
	r := limited("a", Limits{Rate: 1e6, Burst: 1e6, Concurrent: 10})
	if n := testing.AllocsPerRun(100, func() { c.pass(t, r) }); n > 0 {
		t.Errorf("%g allocations", n)
	}
}

// TestWaitingAllocatesNothing: a request comes in a pause, which ends at once.
func TestWaitingAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector has sync.Pool lose some values")
	}
	c := New(1)
	r := by("a")
	pauses := 0
	c.breath.begin = func() {
		pauses++
		c.breathed()
	}
	n := testing.AllocsPerRun(100, func() {
		c.breath.count, c.breath.last = fewRequests, time.Time{}
		c.pass(t, r)
	})
	if n > 0 || pauses != 101 {
		t.Errorf("%g allocations, %d pauses", n, pauses)
	}
	c.isEmpty(t)
}

var raceDetector bool

func BenchmarkEnter(b *testing.B) {
	c := New(2)
	r := limited("a", Limits{Rate: 1e9, Burst: 1e6, Concurrent: 10})
	b.ReportAllocs()
	for b.Loop() {
		pass, _ := c.Enter(b.Context(), r)
		pass.Leave()
	}
}
