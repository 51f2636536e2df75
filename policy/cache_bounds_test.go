package policy

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// TestCacheBounds: entries and bytes are bounded, the least recently used go first, and a client pushes out no more than its
// share of the others'.
func TestCacheBounds(t *testing.T) {
	c := newCache(80, 80*1000)
	entry := func(holder string, n, size int) *cached {
		return &cached{key: fmt.Sprintf("%s%d", holder, n), holder: holder, size: size}
	}
	held := func(holder string) (n int) {
		for _, e := range c.known {
			if e.holder == holder {
				n++
			}
		}
		return n
	}
	for n := range 80 {
		c.add(entry(fmt.Sprintf("client %d:", n%16), n, 0))
	}
	if n, bytes := c.len(); n != 80 || bytes <= 80*cachedSize || bytes > 80*1000 {
		t.Errorf("it holds %d entries of %d bytes", n, bytes)
	}
	for n := range 1000 {
		c.add(entry("greedy", n, 0))
		if entries, bytes := c.len(); entries > 80 || bytes > 80*1000 {
			t.Fatalf("it holds %d entries of %d bytes", entries, bytes)
		}
	}
	if n := held("greedy"); n != 80/cacheShare {
		t.Errorf("one client holds %d", n)
	}
	c.add(entry("large", 1, 80*1000/largestCached))
	if held("large") != 0 {
		t.Error("it holds an entry that is too large")
	}
	if c.get([]byte("client 15:79")) == nil || c.get([]byte("client 0:0")) != nil {
		t.Error("it does not keep what was used last")
	}
	c.close()
	c.add(entry("late", 1, 0))
	if n, bytes := c.len(); n != 0 || bytes != 0 || c.recent.Len() != 0 || len(c.holders) != 0 {
		t.Errorf("after its end it holds %d entries", n)
	}
}

// TestCacheUnderLoad: while the policy, its data, clients and resources change, each decision is one of what was there.
func TestCacheUnderLoad(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": "package m2m.token\n\nclaims.data := data.x\nclaims.level := input.client.attributes.level\n", "data.json": `{"x": 0}`})
	e := load(t, Config{Paths: []string{dir}, Timeout: generous})
	version := func(n int) TokenInput {
		in := request(t, "book:1:read")
		in.Client = &Client{ID: "ci-bot", Attributes: map[string]any{"level": n}, Grants: in.Client.Grants}
		return in
	}
	var mu sync.RWMutex // orders a change before the requests that must see it
	data, in := 0, version(0)
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.RLock()
				d, err := e.DecideToken(t.Context(), in)
				if err != nil || d.Claims["data"] != json.Number(fmt.Sprint(data)) || d.Claims["level"] != json.Number(fmt.Sprint(in.Client.Attributes["level"])) {
					t.Errorf("%v: the claims are %v, want %d and %v", err, d.Claims, data, in.Client.Attributes["level"])
				}
				mu.RUnlock()
			}
		})
	}
	for n := range 40 {
		mu.Lock()
		if in = version(n); n%4 == 0 {
			data = n
			put(t, filepath.Join(dir, "data.json"), fmt.Sprintf(`{"x": %d}`, n))
			if _, err := e.Reload(); err != nil {
				t.Error(err)
			}
		}
		mu.Unlock()
		runtime.Gosched()
	}
	close(stop)
	group.Wait()
	if e.uses[tokenQuery].hits.Load() == 0 {
		t.Error("no decision came from the cache")
	}
}
