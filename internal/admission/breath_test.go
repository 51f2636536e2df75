package admission

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestAPauseBetweenRequests: none begins while the scheduler asks the network.
func TestAPauseBetweenRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		pauses := 0
		c.breath.begin = func() { pauses++ }
		first, _ := c.Enter(t.Context(), by("a"))
		var second Pass
		entered := false
		go func() {
			second, _ = c.Enter(t.Context(), by("b"))
			entered = true
		}()
		synctest.Wait()
		first.Leave()
		go c.pass(t, by("c"))
		synctest.Wait()
		if pauses != 1 || entered || c.Waiting() != 2 {
			t.Errorf("%d pauses; %d wait", pauses, c.Waiting())
		}
		c.breathed()
		synctest.Wait()
		if !entered || c.Waiting() != 1 {
			t.Errorf("after the pause %d wait", c.Waiting())
		}
		second.Leave()
		synctest.Wait()
		if pauses != 1 || c.Waiting() != 0 {
			t.Errorf("there is another pause at once")
		}
		c.isEmpty(t)
	})
}

// TestAPauseWithoutContention: on one processor a request is done before the next one begins, although many are ready to run.
func TestAPauseWithoutContention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		pauses := 0
		c.breath.begin = func() { pauses++ }
		for range fewRequests {
			c.pass(t, by("a"))
		}
		if pauses != 0 {
			t.Errorf("%d pauses", pauses)
		}
		for range 5 {
			go c.pass(t, by("a"))
		}
		synctest.Wait()
		if pauses != 1 || c.Waiting() != 5 {
			t.Errorf("%d pauses; %d wait", pauses, c.Waiting())
		}
		c.breathed()
		synctest.Wait()
		if c.Waiting() != 0 {
			t.Errorf("after the pause %d wait", c.Waiting())
		}
		c.isEmpty(t)
	})
}

// TestAPauseAfterALargeRequest: after it, the requests of other clients come to wait before its client has another one.
func TestAPauseAfterALargeRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1)
		pauses := 0
		c.breath.begin = func() { pauses++ }
		large, _ := c.Enter(t.Context(), by("a"))
		time.Sleep(2 * fewWork)
		large.Leave()
		go c.pass(t, by("a"))
		synctest.Wait()
		if pauses != 1 || c.Waiting() != 1 {
			t.Errorf("%d pauses; %d wait", pauses, c.Waiting())
		}
		c.breathed()
		synctest.Wait()
		c.isEmpty(t)
	})
}

// TestAPauseThatDoesNotEnd: the pipe has failed.
func TestAPauseThatDoesNotEnd(t *testing.T) {
	ordered(t, 1, func(r *record) {
		r.control.breath.begin = func() {}
		for range 3 {
			r.enter("a", 2*time.Millisecond)
			r.enter("b", 2*time.Millisecond)
		}
		r.is("a b a b a b")
	})
}

// TestBreathe hands over slots with pauses that are real.
func TestBreathe(t *testing.T) {
	c := New(1)
	c.Breathe()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 20 {
				pass, refusal := c.Enter(t.Context(), by("a"))
				if refusal != nil {
					t.Errorf("refused: %s", refusal.Reason)
					return
				}
				for start := time.Now(); time.Since(start) < 100*time.Microsecond; {
				}
				pass.Leave()
			}
		})
	}
	all.Wait()
	c.isEmpty(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.breath.last.IsZero() {
		t.Error("there was no pause")
	}
}
