package once

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 5e8, time.UTC)

func TestUse(t *testing.T) {
	m := New(1000)
	until := start.Add(time.Minute)
	for n, step := range []struct {
		namespace, owner, id string
		after                time.Duration
		want                 Result
	}{
		{"a", "c", "1", 0, Fresh},
		{"a", "c", "1", 0, Used},
		{"a", "d", "1", 0, Used}, // the owner is not a part of the identifier
		{"b", "c", "1", 0, Fresh},
		{"a", "c", "2", 0, Fresh},
		{"", "c", "a1", 0, Fresh},
		{"a", "c", "1", time.Minute, Used},
		{"a", "c", "1", time.Minute + 2*time.Second, Used}, // it has expired, so it is not accepted again either
	} {
		if got := m.Use(step.namespace, step.owner, step.id, until, start.Add(step.after)); got != step.want {
			t.Errorf("step %d: got %d, want %d", n, got, step.want)
		}
	}
	if m.Use("x", "c", "y", start.Add(time.Hour), start.Add(time.Hour)); m.Len() > 4 {
		t.Errorf("%d are remembered", m.Len())
	}
}

// TestClockSetBack: what was forgotten because it had expired cannot be used again.
func TestClockSetBack(t *testing.T) {
	m := New(1000)
	for i := range 100 {
		id := fmt.Sprint(i)
		until := start.Add(time.Minute)
		first := m.Use("a", "c", id, until, start)
		late := m.Use("a", "c", id+"x", start.Add(time.Hour), start.Add(10*time.Minute))
		if again := m.Use("a", "c", id, until, start); again == Fresh {
			t.Fatalf("%s was used again: %d, %d, %d", id, first, late, again)
		}
	}
}

func TestOneOfManyWins(t *testing.T) {
	m := New(1000)
	for round := range 50 {
		var fresh atomic.Int32
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				if m.Use("a", "c", fmt.Sprint(round), start.Add(time.Minute), start) == Fresh {
					fresh.Add(1)
				}
			})
		}
		wg.Wait()
		if fresh.Load() != 1 {
			t.Fatalf("%d of one identifier were fresh", fresh.Load())
		}
	}
}

// TestShares: an owner that uses identifiers without end leaves room for others, and nothing is forgotten for it.
func TestShares(t *testing.T) {
	m := New(16 * 80)
	until := start.Add(time.Minute)
	taken := 0
	for i := range 5000 {
		if m.Use("a", "greedy", fmt.Sprint(i), until, start) == Fresh {
			taken++
		}
	}
	if taken != 16*40 {
		t.Errorf("the greedy owner has %d places", taken)
	}
	second := 0
	for i := range 5000 {
		if m.Use("a", "second", fmt.Sprint("second", i), until, start) == Fresh {
			second++
		}
	}
	if second != 16*10 {
		t.Errorf("the second greedy owner has %d places", second)
	}
	for i := range 20 {
		if got := m.Use("a", "other", fmt.Sprint("other", i), until, start); got != Fresh {
			t.Errorf("the other got %d", got)
		}
	}
	if got := m.Use("a", "greedy", "0", until, start); got != Used {
		t.Errorf("forgot an identifier: %d", got)
	}
	for i := range 100 {
		for j := range 100 {
			m.Use("a", fmt.Sprint("owner", i), fmt.Sprint(i, " ", j), until, start)
		}
	}
	if m.Len() > 16*80 {
		t.Errorf("%d are remembered", m.Len())
	}
	if got := m.Use("a", "last", "one more", until, start); got != Full {
		t.Errorf("got %d beyond the last place", got)
	}
	later := start.Add(2 * time.Minute)
	for i := range 20 {
		if got := m.Use("a", "greedy", fmt.Sprint("later", i), later.Add(time.Minute), later); got != Fresh {
			t.Errorf("after expiry: %d", got)
		}
	}
}

// TestUseAsASet compares with a plain map over random uses.
func TestUseAsASet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	m, known := New(1<<20), make(map[string]time.Time)
	now := start
	for range 20_000 {
		now = now.Add(time.Duration(r.IntN(3000)) * time.Millisecond)
		if r.IntN(1000) == 0 {
			now = now.Add(time.Hour)
		}
		id, until := fmt.Sprint(r.IntN(200)), now.Add(time.Duration(r.IntN(600))*time.Second)
		got := m.Use("a", "c", id, until, now)
		expires, used := known[id]
		switch {
		case used && now.Before(expires) && got != Used:
			t.Fatalf("%s is remembered until %s: got %d", id, expires, got)
		case (!used || now.After(expires.Add(3*time.Second))) && got != Fresh:
			t.Fatalf("%s: got %d", id, got)
		}
		if got == Fresh {
			known[id] = until
		}
	}
	for i := range m.parts {
		p := &m.parts[i]
		entries := 0
		for _, at := range p.expiring {
			entries += len(at)
		}
		if used := p.owners["c"]; entries != len(p.known) || used != nil && used.used != entries {
			t.Errorf("part %d counts %d, %d and %v", i, entries, len(p.known), used)
		}
	}
}

func BenchmarkUse(b *testing.B) {
	m := New(1 << 18)
	ids := make([]string, 1<<16)
	for i := range ids {
		ids[i] = fmt.Sprint("an identifier of usual length ", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now := start.Add(time.Duration(i) * time.Millisecond)
		m.Use("https://auth.example.com", "c", ids[i%len(ids)], now.Add(time.Minute), now)
	}
}
