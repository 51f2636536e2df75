package remote

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-m2m/caddy-m2m/internal/remote/remotetest"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// TestFeedIsAskedForSparingly: the whole feed every quarter of an hour, and else what is new.
func TestFeedIsAskedForSparingly(t *testing.T) {
	testFeed(t, func(t *testing.T, f *remotetest.Issuer, r *feed, _ *observer.ObservedLogs) {
		pass(time.Minute)
		if queries, _ := f.Asked(); len(queries) != 0 {
			t.Fatal("it was asked for although no door needs it")
		}
		f.Change(func() { f.ETag = `"1"` })
		r.has(t, "A")
		r.has(t, "A")
		synctest.Wait()
		if queries, _ := f.Asked(); len(queries) != 1 || queries[0] != "" {
			t.Fatalf("it asked for %q", queries)
		}
		pass(10 * time.Minute)
		whole := func() (count int) {
			queries, _ := f.Asked()
			for _, query := range queries {
				if query == "" {
					count++
				}
			}
			return count
		}
		// the ETag has said since then that nothing is new, and not that this was so lately
		if _, matched := f.Asked(); whole() != 1 || matched < 100 || age(r) < 9*time.Minute {
			t.Errorf("everything was asked for %d times, %d were matched, it is %s old", whole(), matched, age(r))
		}
		f.Change(func() { f.ETag = "" })
		pass(6 * time.Minute)
		if whole() != 2 || age(r) > feedInterval+time.Second {
			t.Errorf("everything was asked for %d times in 16 minutes, it is %s old", whole(), age(r))
		}
		f.Change(func() { f.Status = 500 })
		pass(2 * time.Minute)
		f.Change(func() { f.Status = 0 })
		pass(feedInterval)
		if queries, _ := f.Asked(); queries[len(queries)-1] == "" { // the issuer decides how far back it can answer
			t.Error("after a gap it asked for everything")
		}
	})
}

// TestWholeFeedFails, as when it is too large: what is new is known all the same.
func TestWholeFeedFails(t *testing.T) {
	testFeed(t, func(t *testing.T, f *remotetest.Issuer, r *feed, _ *observer.ObservedLogs) {
		r.has(t, "A")
		synctest.Wait()
		f.Change(func() {
			f.Answer = func() string {
				if f.Queries[len(f.Queries)-1] == "" {
					return "too much"
				}
				return f.Signed()
			}
		})
		pass(time.Hour)
		if queries, _ := f.Asked(); age(r) > 3*feedInterval || strings.Count(strings.Join(queries, "&")+"&", "&&") > 60 {
			t.Errorf("it is %s old", age(r))
		}
		f.Change(func() { f.Status = 503 })
		pass(2 * feedWholeRetry)
		f.Change(func() { f.Status = 0 })
		pass(10 * time.Minute)
		if age(r) > 3*feedInterval {
			t.Errorf("after the issuer was away it is %s old", age(r))
		}
		f.Change(func() { f.Answer = nil })
		pass(feedWholeRetry + feedInterval)
		f.Change(func() { f.Queries = nil })
		pass(feedWhole - 2*feedWholeRetry)
		if queries, _ := f.Asked(); slices.Contains(queries, "") {
			t.Error("when everything could be had again it was asked for once more")
		}
	})
}

// TestFeedAfterTheClockIsPutBack is read as a whole, because a clock that is ahead ends revocations too early.
func TestFeedAfterTheClockIsPutBack(t *testing.T) {
	testFeed(t, func(t *testing.T, f *remotetest.Issuer, r *feed, _ *observer.ObservedLogs) {
		for n, want := range []bool{true, false, true, false} {
			if err := r.poll(); err != nil {
				t.Fatal(err)
			}
			if queries, _ := f.Asked(); (queries[n] == "") != want {
				t.Errorf("look %d asks for %q", n, queries[n])
			}
			if n == 1 {
				r.lastPoll = r.lastPoll.Add(time.Hour)
			}
			time.Sleep(feedInterval)
		}
	})
}

// TestFeedThatFailsAtFirst is asked for less and less often, because it may be large.
func TestFeedThatFailsAtFirst(t *testing.T) {
	testFeed(t, func(t *testing.T, f *remotetest.Issuer, r *feed, _ *observer.ObservedLogs) {
		f.Change(func() { f.Answer = func() string { return "too much" } })
		_, _ = trust(r, Bounds{}).IsRevoked(t.Context(), &token.Claims{ID: "A", IssuedAt: time.Now()}, "")
		pass(10 * time.Minute)
		if queries, _ := f.Asked(); len(queries) > 25 {
			t.Errorf("it was asked for %d times in 10 minutes", len(queries))
		}
		f.Change(func() { f.Answer = nil })
		pass(feedMaxRetry)
		if age(r) > feedMaxRetry {
			t.Errorf("it is %s old", age(r))
		}
	})
}
