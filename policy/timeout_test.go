package policy

import (
	"context"
	"runtime"
	"testing"
	"time"
)

// deaf is a rule whose builtin function sees no cancellation, for some tenths of a second.
const deaf = `package m2m.token

ttl contains 60 if {
	input.client.id == "deaf"
	bits.lsh(1, 5000000) == 1
}
`

// endless would run for hours, and sees cancellation.
const endless = `package m2m.token

ttl contains 60 if {
	input.client.id == "endless"
	some a in numbers.range(1, 10000)
	some b in numbers.range(1, 10000)
	some c in numbers.range(1, 10000)
	a + b + c == -1
}
`

func TestTimeoutEndsTheRequest(t *testing.T) {
	for id, rego := range map[string]string{"deaf": deaf, "endless": endless} {
		t.Run(id, func(t *testing.T) {
			dir := write(t, map[string]string{"a.rego": rego})
			e := load(t, Config{Paths: []string{dir}, Timeout: 50 * time.Millisecond})
			in := request(t, "book:1:read")
			in.Client.ID = id
			start := time.Now()
			_, err := e.DecideToken(t.Context(), in)
			wantKind(t, err, Timeout, "50ms")
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
			if id == "deaf" && len(e.workers.slots) != 1 {
				t.Error("the evaluation has ended before: nothing is shown")
			}
			waitForIdle(t, e)
		})
	}
}

func TestCallersContextEndsTheRequest(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": endless})
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	in := request(t, "book:1:read")
	in.Client.ID = "endless"
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := e.DecideToken(ctx, in)
	wantKind(t, err, Canceled)
	waitForIdle(t, e)
}

// TestOverload has every worker taken by a job that does not end.
func TestOverload(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": "package m2m.token\n\nttl contains 60 if time.now_ns() < 0\n"})
	e := load(t, Config{Paths: []string{dir}, Timeout: 20 * time.Millisecond, MaxConcurrent: 2})
	release := make(chan struct{})
	for range 2 {
		if !submit(e.workers, func() { <-release }, t.Context().Done(), nil) {
			t.Fatal("no worker")
		}
	}
	before := runtime.NumGoroutine()
	for range 3 {
		_, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
		wantKind(t, err, Overloaded, "20ms")
	}
	if more := runtime.NumGoroutine() - before; more > 0 {
		t.Errorf("%d goroutines more", more)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := e.DecideToken(ctx, request(t, "book:1:read"))
	wantKind(t, err, Canceled)
	close(release)
	waitForIdle(t, e)
	e.cfg.Timeout = generous
	decide(t, e, request(t, "book:1:read"))
}

func TestCloseEndsWorkersAndDecisionsStillWork(t *testing.T) {
	e := load(t, Config{Timeout: generous})
	decide(t, e, request(t, "book:1:read"))
	e.Close()
	e.Close()
	waitForSlots(t, e)
	decide(t, e, request(t, "book:1:read"))
	waitForSlots(t, e)
}

// waitForIdle waits until every worker is free again, and so takes jobs.
func waitForIdle(t *testing.T, e *Engine) {
	t.Helper()
	e.Close()
	waitForSlots(t, e)
}

func waitForSlots(t *testing.T, e *Engine) {
	t.Helper()
	for deadline := time.Now().Add(generous); len(e.workers.slots) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("workers are left")
		}
	}
}
