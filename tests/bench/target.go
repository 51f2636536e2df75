package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// source makes requests. It is asked for n of them outside of the measured time. Those of a source that is once are sent once.
type source struct {
	make func(n int) ([][]byte, error)
	once bool
}

// target is a site with the requests that it gets, and what it is compared with.
type target struct {
	name     string
	what     string // for readers of the table
	server   *server
	site     string
	tls      bool
	tolerant bool // an answer other than 200 is counted and not a failure
	redial   bool // a new connection for each request
	source   source
	cpu      func() time.Duration // of another process than the server's, if it is measured
	against  *target              // nil for what others are compared with alone

	ring  [][]byte // requests that are sent again and again
	conns []*conn
	pairs []pair // of the rounds
}

// sample is what one round of a target gave.
type sample struct {
	took      time.Duration
	latencies []time.Duration // of answers with 200; sorted
	statuses  map[int]int     // of all answers
	cpu       time.Duration   // of the server's process
	mallocs   uint64
	allocated uint64
}

// batch is the number of requests that are made at a time if each is sent once. Doors keep more tokens than that.
const batch = 2000

func (t *target) address() string { return t.server.site(t.site) }

func (t *target) connect(connections int) {
	for range connections {
		t.conns = append(t.conns, &conn{address: t.address(), tls: t.tls})
	}
}

func (t *target) hangUp() {
	for _, c := range t.conns {
		c.hangUp()
	}
	t.conns = nil
}

// measure sends requests for about that long.
func (t *target) measure(d time.Duration) (*sample, error) {
	s := &sample{statuses: make(map[int]int)}
	for s.took < d {
		requests, err := t.requests()
		if err != nil {
			return nil, fmt.Errorf("preparing %s: %w", t.name, err)
		}
		before, err := t.usage()
		if err != nil {
			return nil, err
		}
		if err := t.send(s, requests, d); err != nil {
			return nil, fmt.Errorf("measuring %s: %w", t.name, err)
		}
		after, err := t.usage()
		if err != nil {
			return nil, err
		}
		s.cpu += after.CPU - before.CPU
		s.mallocs += after.Mallocs - before.Mallocs
		s.allocated += after.Allocated - before.Allocated
	}
	slices.Sort(s.latencies)
	return s, nil
}

// usage is that of the process that is measured.
func (t *target) usage() (usage, error) {
	if t.cpu != nil {
		return usage{CPU: t.cpu()}, nil
	}
	return t.server.usage(false)
}

func (t *target) requests() ([][]byte, error) {
	if t.source.once {
		return t.source.make(batch)
	}
	if t.ring == nil {
		ring, err := t.source.make(0)
		if err != nil {
			return nil, err
		}
		t.ring = ring
	}
	return t.ring, nil
}

// send has all connections send requests: each once, or again and again for a while.
func (t *target) send(s *sample, requests [][]byte, d time.Duration) error {
	var (
		next   atomic.Int64
		group  sync.WaitGroup
		start  = time.Now()
		failed = make(chan error, len(t.conns))
		mu     sync.Mutex
	)
	for _, c := range t.conns {
		group.Go(func() {
			var latencies []time.Duration
			statuses := make(map[int]int)
			for last := time.Now(); t.source.once || last.Sub(start) < d; {
				i := int(next.Add(1) - 1)
				if t.source.once && i >= len(requests) {
					break
				}
				status, err := c.do(requests[i%len(requests)])
				if !t.tolerant && (err != nil || status != 200) {
					failed <- fmt.Errorf("status %d, error %v: %s", status, err, c.body.Bytes())
					break
				}
				if t.redial {
					c.hangUp()
				}
				now := time.Now()
				if status == 200 {
					latencies = append(latencies, now.Sub(last))
				}
				statuses[status]++
				last = now
			}
			mu.Lock()
			defer mu.Unlock()
			s.latencies = append(s.latencies, latencies...)
			for status, n := range statuses {
				s.statuses[status] += n
			}
		})
	}
	group.Wait()
	s.took += time.Since(start)
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func (s *sample) rate() float64 { return float64(len(s.latencies)) / s.took.Seconds() }

func (s *sample) quantile(q float64) time.Duration { return quantile(s.latencies, q) }

func (s *sample) cpuEach() time.Duration { return s.cpu / time.Duration(len(s.latencies)) }

func (s *sample) mallocsEach() float64 { return float64(s.mallocs) / float64(len(s.latencies)) }

func (s *sample) bytesEach() float64 { return float64(s.allocated) / float64(len(s.latencies)) }

// quantile of sorted durations.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	switch n := len(sorted); {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	default:
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
}

// medianOf is the median over the rounds.
func (t *target) medianOf(value func(*sample) float64) float64 {
	return t.medianOfPairs(func(p pair) float64 { return value(p.measured) })
}

func (t *target) medianOfPairs(value func(pair) float64) float64 {
	values := make([]float64, len(t.pairs))
	for i, p := range t.pairs {
		values[i] = value(p)
	}
	return median(values)
}
