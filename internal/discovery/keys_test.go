package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// testKeys runs a test with a cache of a host's keys, under a fake clock.
func testKeys(t *testing.T, kids string, test func(t *testing.T, h *host, k *Keys[[]string])) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{network: newNetwork(), kids: kids, cache: "max-age=600"}
		h.serve(openIDURL, goodServer)
		h.answers[jwksURL] = h.serveKeys
		k := NewKeys(t.Context(), Config[[]string]{
			Source: Source{Issuer: issuer},
			Client: h.client(),
			Parse:  parseWords,
			Has:    func(words []string, kid string) bool { return slices.Contains(words, kid) },
			OnFetch: func(err error) {
				if err != nil {
					h.failures++
				}
			},
		})
		defer k.Close()
		test(t, h, k)
	})
}

// want gets a key set once, and holds it and the number of fetches so far against what is wanted.
// kids is "" for an error.
func want(t *testing.T, h *host, k *Keys[[]string], kid, kids string, fetches int) {
	t.Helper()
	got, err := k.Get(t.Context(), kid, cmp.Or(h.staleFor, time.Hour))
	synctest.Wait()
	if (err != nil) != (kids == "") || strings.Join(got, " ") != kids || h.fetches() != fetches {
		t.Errorf("got %q, %v after %d fetches, want %q after %d", got, err, h.fetches(), kids, fetches)
	}
}

func TestKeysLoadLazily(t *testing.T) {
	testKeys(t, "a b", func(t *testing.T, h *host, k *Keys[[]string]) {
		if len(h.requests) != 0 {
			t.Fatalf("requests before use: %v", h.requests)
		}
		want(t, h, k, "a", "a b", 1)
		want(t, h, k, "b", "a b", 1)
	})
}

func TestKeysRefreshInTheBackground(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		want(t, h, k, "a", "a", 1)
		h.kids, h.delay = "a b", time.Second
		time.Sleep(10 * time.Minute)
		want(t, h, k, "a", "a", 1) // ten minutes are not yet past
		time.Sleep(time.Nanosecond)
		begin := time.Now()
		want(t, h, k, "a", "a", 2)
		want(t, h, k, "a", "a", 2) // one fetch in flight
		if time.Since(begin) != 0 {
			t.Errorf("waited %s", time.Since(begin))
		}
		time.Sleep(2 * time.Second)
		want(t, h, k, "a", "a b", 2)
		if h.requests[openIDURL] != 1 {
			t.Errorf("discovered %d times", h.requests[openIDURL])
		}
	})
}

func TestKeysDiscoverAgain(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		want(t, h, k, "a", "a", 1)
		const moved = "https://auth.example.com/moved"
		h.serve(openIDURL, strings.Replace(goodServer, jwksURL, moved, 1))
		h.serve(moved, "c")
		h.down = true
		time.Sleep(11 * time.Minute)
		want(t, h, k, "a", "a", 2)
		time.Sleep(firstBackoff)
		want(t, h, k, "c", "c", 2) // an unknown key waits for the refresh
	})
}

func TestKeysOutliveFailures(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		want(t, h, k, "a", "a", 1)
		h.kids = "broken"
		time.Sleep(10*time.Minute + time.Second)
		want(t, h, k, "a", "a", 2)
		want(t, h, k, "a", "a", 2) // neither a refresh
		want(t, h, k, "x", "", 2)  // nor a search before the failure has been waited out: it is not known
		h.down = true
		time.Sleep(firstBackoff)
		want(t, h, k, "a", "a", 3)
		if h.failures != 2 {
			t.Errorf("%d failures reported", h.failures)
		}
		time.Sleep(time.Hour - 2*time.Second) // just not too stale
		want(t, h, k, "a", "a", 4)
		time.Sleep(10 * time.Second)
		want(t, h, k, "a", "", 5) // too stale: waits for a fetch, which fails
		want(t, h, k, "a", "", 5) // and does not try again at once
		h.down, h.kids = false, "a c"
		time.Sleep(maxBackoff)
		want(t, h, k, "a", "a c", 6)
	})
}

// TestKeysThatWereNotUsedForLong: the first caller after a quiet night waits, so that a key that was withdrawn meanwhile
// is not taken. No caller waits a second time for an issuer that does not answer.
func TestKeysThatWereNotUsedForLong(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		h.staleFor = DefaultStaleFor
		want(t, h, k, "a", "a", 1)
		h.kids, h.delay = "b", time.Second
		time.Sleep(10*time.Minute + DefaultAge + 1)
		want(t, h, k, "a", "b", 2)
		time.Sleep(23 * time.Hour)
		h.delay = time.Hour
		begin := time.Now()
		want(t, h, k, "b", "b", 3)
		if took := time.Since(begin); took != Timeout {
			t.Errorf("waited %s", took)
		}
		time.Sleep(time.Minute)
		begin = time.Now()
		want(t, h, k, "b", "b", 4)
		if took := time.Since(begin); took != 0 {
			t.Errorf("waited %s again", took)
		}
	})
}

// TestKeysOutliveMetadata: keys are where they were, also while the document that says so cannot be had.
func TestKeysOutliveMetadata(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		want(t, h, k, "a", "a", 1)
		document := h.answers[openIDURL]
		delete(h.answers, openIDURL)
		h.kids = "a b"
		time.Sleep(rediscoverAfter + time.Minute)
		want(t, h, k, "b", "a b", 2)
		asked := h.requests[openIDURL]
		h.answers[openIDURL] = document
		time.Sleep(10*time.Minute + 1)
		want(t, h, k, "b", "a b", 3)
		if h.requests[openIDURL] != asked+1 {
			t.Error("the document is not asked for again soon")
		}
	})
}

func TestKeysBackOff(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		h.down = true
		var waits []int
		for range 300 {
			before := h.fetches()
			if _, err := k.Get(t.Context(), "a", time.Hour); err == nil {
				t.Fatal("keys from a host that is down")
			}
			if h.fetches() > before {
				waits = append(waits, 0)
			}
			waits[len(waits)-1]++
			time.Sleep(time.Second)
		}
		if got := fmt.Sprint(waits[:7]); got != "[1 2 4 8 16 30 30]" {
			t.Errorf("waits %s seconds", got)
		}
		h.down = false
		time.Sleep(maxBackoff)
		want(t, h, k, "a", "a", h.fetches()+1)
		h.down = true
		time.Sleep(11 * time.Minute)
		want(t, h, k, "a", "a", h.fetches()+1)
		time.Sleep(firstBackoff) // a success has made the wait short again
		want(t, h, k, "a", "a", h.fetches()+1)
	})
}

func TestKeysSearchForUnknownKeys(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		want(t, h, k, "x", "a", 1) // the first load is the search
		h.kids = "a b"
		want(t, h, k, "b", "a b", 2) // a rotated key is found at once
		for i := range 29 {          // random ones find no other fetch before the floor
			want(t, h, k, fmt.Sprint("x", i), "a b", 2)
			time.Sleep(time.Second)
		}
		h.kids = "a b c"
		want(t, h, k, "c", "a b", 2)
		time.Sleep(time.Second)
		want(t, h, k, "c", "a b c", 3)
		h.down = true
		time.Sleep(RefetchFloor)
		want(t, h, k, "y", "", 4) // after a failed search it is not known whether the issuer has the key
		want(t, h, k, "a", "a b c", 4)
		time.Sleep(RefetchFloor - 1)
		want(t, h, k, "y", "", 4)
		h.down = false
		time.Sleep(time.Nanosecond)
		want(t, h, k, "y", "a b c", 5)
	})
}

func TestKeysShareOneFetch(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		h.delay = 2 * time.Second
		var waiters sync.WaitGroup
		for range 50 {
			waiters.Go(func() {
				if keys, err := k.Get(t.Context(), "a", time.Hour); err != nil || len(keys) != 1 {
					t.Errorf("got %v, %v", keys, err)
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := k.Get(ctx, "a", time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the waiter that left got %v", err)
		}
		waiters.Wait()
		if h.fetches() != 1 {
			t.Errorf("%d fetches", h.fetches())
		}
	})
}

func TestKeysTimeOut(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		h.delay = time.Hour
		begin := time.Now()
		want(t, h, k, "a", "", 1)
		if time.Since(begin) != Timeout {
			t.Errorf("took %s", time.Since(begin))
		}
	})
}

func TestKeysAskConditionally(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		h.etags = true
		for fetches := 1; fetches <= 3; fetches++ {
			want(t, h, k, "a", "a", fetches)
			time.Sleep(11 * time.Minute)
		}
		if h.notMods != 2 {
			t.Errorf("%d answers of 304", h.notMods)
		}
		h.kids = "b"
		want(t, h, k, "a", "a", 4)
		want(t, h, k, "b", "b", 4)
	})
}

func TestKeysClose(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		h.delay = 5 * time.Second
		begin := time.Now()
		var waiter sync.WaitGroup
		waiter.Go(func() {
			if _, err := k.Get(t.Context(), "a", time.Hour); err == nil {
				t.Error("keys from a closed cache")
			}
		})
		synctest.Wait()
		k.Close()
		k.Close()
		waiter.Wait()
		if _, err := k.Get(t.Context(), "a", time.Hour); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
		if time.Since(begin) != 0 {
			t.Errorf("took %s", time.Since(begin))
		}
	})
}

// The end of the context closes the cache, too; synctest fails on a goroutine that is left.
func TestKeysEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		h := &host{network: newNetwork(), delay: time.Minute}
		h.serve(serverURL, goodServer)
		h.answers[jwksURL] = h.serveKeys
		k := NewKeys(ctx, Config[[]string]{Source: Source{Issuer: issuer}, Client: h.client(), Parse: parseWords,
			Has: func([]string, string) bool { return true }})
		time.AfterFunc(time.Second, cancel)
		if _, err := k.Get(t.Context(), "a", DefaultStaleFor); err == nil {
			t.Error("keys after the end")
		}
		if _, err := k.Get(t.Context(), "a", DefaultStaleFor); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestKeysWithoutJWKSURI(t *testing.T) {
	testKeys(t, "a", func(t *testing.T, h *host, k *Keys[[]string]) {
		h.serve(openIDURL, `{"issuer":"`+issuer+`"}`)
		if _, err := k.Get(t.Context(), "a", time.Hour); err == nil || !strings.Contains(err.Error(), "no jwks_uri") {
			t.Errorf("got %v", err)
		}
	})
}

func BenchmarkKeysGet(b *testing.B) {
	h := &host{network: newNetwork(), kids: "a"}
	h.serve(serverURL, goodServer)
	h.answers[jwksURL] = h.serveKeys
	k := NewKeys(b.Context(), Config[[]string]{Source: Source{Issuer: issuer}, Client: h.client(), Parse: parseWords,
		Has: func(words []string, kid string) bool { return slices.Contains(words, kid) }})
	defer k.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := k.Get(b.Context(), "a", time.Hour); err != nil {
				b.Error(err)
			}
		}
	})
}
