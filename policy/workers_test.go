package policy

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestNoJobWaitsBesideAnIdleWorker runs on a clock that moves only when every goroutine is blocked.
// So a timeout here is a job that no worker would ever have taken, and never a slow machine.
func TestNoJobWaitsBesideAnIdleWorker(t *testing.T) {
	const callers, jobs = 32, 50
	for _, limit := range []int{1, 2, 8, 2 * callers} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorkers(limit)
			var running, done atomic.Int64
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for range jobs {
						ended := make(chan struct{})
						job := func() {
							if n := running.Add(1); n > int64(limit) {
								t.Errorf("%d jobs at once, limit %d", n, limit)
							}
							for range rand.IntN(3) {
								runtime.Gosched()
							}
							running.Add(-1)
							done.Add(1)
							close(ended)
						}
						if !submit(w, job, time.After(time.Nanosecond), nil) {
							t.Error("a job found no worker, and none was busy")
							return
						}
						<-ended
					}
				})
			}
			all.Wait()
			w.close()
			if done.Load() != callers*jobs {
				t.Errorf("%d jobs done", done.Load())
			}
		})
	}
}

// TestDecisionsOnAStandingClock is the same of whole decisions, while the policy's workers end.
func TestDecisionsOnAStandingClock(t *testing.T) {
	for name, condition := range map[string]string{"in place": "time.now_ns() < 0", "on a worker": "bits.lsh(1, 5) == 1"} {
		dir := write(t, map[string]string{"a.rego": "package m2m.token\nttl contains 60 if " + condition + "\n"})
		t.Run(name, func(t *testing.T) { decideOnAStandingClock(t, dir) })
	}
}

func decideOnAStandingClock(t *testing.T, dir string) {
	synctest.Test(t, func(t *testing.T) {
		e, err := Load(Config{Paths: []string{dir}, Timeout: time.Nanosecond, MaxConcurrent: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		withoutCache(e)
		in := request(t, "book:1:read")
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				for range 20 {
					if _, err := e.DecideToken(t.Context(), in); err != nil {
						t.Error(err)
					}
				}
				if i == 0 {
					e.Close()
				}
			})
		}
		all.Wait()
	})
}

func TestAnAnswerCountsThoughTheTimeIsUp(t *testing.T) {
	up, gone := make(chan time.Time), make(chan struct{})
	close(up)
	close(gone)
	for range 100 {
		answers := make(chan int, 1)
		answers <- 1
		if got, ok := await(answers, up, gone); got != 1 || !ok {
			t.Fatal("the answer was not taken")
		}
	}
	if _, ok := await(make(chan int), up, nil); ok {
		t.Error("an answer out of nothing")
	}
}
