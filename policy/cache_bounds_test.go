package policy

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// TestCacheBounds: entries and bytes are bounded, a client pushes out no more than its share, an entry replaces one with the same
// key, and after its end the cache holds none.
func TestCacheBounds(t *testing.T) {
	c := newCache()
	name := func(holder string, n int) key { return key(fmt.Sprint(holder, n)) }
	const clients = maxCached / 2
	for n := range clients {
		c.add(name("client", n), fmt.Sprint("client", n), new(cached), 100)
	}
	if n, bytes := c.len(); n != clients || bytes < clients*(100+cachedSize) {
		t.Errorf("it holds %d entries of %d bytes", n, bytes)
	}
	for n := range 2 * maxCached {
		c.add(name("greedy", n), "greedy", new(cached), 100)
		if n, bytes := c.len(); n > maxCached || bytes > maxCachedBytes {
			t.Fatalf("it holds %d entries of %d bytes", n, bytes)
		}
	}
	held := 0
	for n := range clients {
		if c.get(name("client", n)) != nil {
			held++
		}
	}
	if held < clients-maxCached/8-1 {
		t.Errorf("one client leaves %d of %d others", held, clients)
	}
	again := new(cached)
	c.add(name("client", clients-1), "client", again, 100)
	if c.get(name("client", clients-1)) != again {
		t.Error("it does not replace a decision")
	}
	c.add(name("large", 1), "large", new(cached), maxCachedBytes/100)
	if c.get(name("large", 1)) != nil {
		t.Error("it holds an entry that is too large")
	}
	c.close()
	c.add(name("late", 1), "late", new(cached), 100)
	if n, bytes := c.len(); n != 0 || bytes != 0 || c.get(name("late", 1)) != nil {
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
