package bundle_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
)

// reluctant is a target that refuses the first bundles of a revision.
type reluctant struct {
	mu       sync.Mutex
	left     map[string]int // revisions to the number of refusals
	taken    []string
	confirms int
}

func (r *reluctant) Take(b *bundle.Bundle) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left[b.Revision] > 0 {
		r.left[b.Revision]--
		return errors.New("not now")
	}
	r.taken = append(r.taken, b.Revision)
	return nil
}

func (r *reluctant) Confirm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.confirms++
}

func (r *reluctant) Fail(error) {}

func (r *reluctant) has(revision string) func() bool {
	return func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return slices.Contains(r.taken, revision)
	}
}

// TestRefusedBundleIsFetchedAgain has a target that refuses a bundle for a while: its ETag is not sent before it is taken,
// and it is kept then.
func TestRefusedBundleIsFetchedAgain(t *testing.T) {
	target, store := &reluctant{left: map[string]int{"v2": 3}}, new(memoryStore)
	server := serveBundles(t, static(ttlBundle(t, "v1", 60), `"1"`))
	cfg := bundle.Config{Location: server.URL, PollMin: 5 * time.Millisecond, PollMax: 10 * time.Millisecond, Store: store}
	*cfg.Pace() = fastPace
	source, err := bundle.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go source.Poll(ctx, bundle.Version{}, target)
	eventually(t, "the first is taken", target.has("v1"))
	second := static(ttlBundle(t, "v2", 61), `"2"`)
	server.set(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"2"` && !target.has("v2")() {
			t.Error("a request is for a change of a bundle that was refused")
		}
		second(w, r)
	})
	eventually(t, "the second is taken", target.has("v2"))
	eventually(t, "it is asked for a change of the second", func() bool {
		asked := server.asked()
		return asked[len(asked)-1].Header.Get("If-None-Match") == `"2"`
	})
	eventually(t, "both are kept", func() bool { _, n := store.stored(); return n == 2 })
}

// TestRefusedBundleIsNotLongPolled has a server that answers at once while its bundle is another than the accepted one. It
// is asked at the pace of polling.
func TestRefusedBundleIsNotLongPolled(t *testing.T) {
	content := ttlBundle(t, "v1", 60)
	server := serveBundles(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", bundle.LongPollType)
		_, _ = w.Write(content)
	})
	target := &reluctant{left: map[string]int{"v1": 1000}}
	cfg := bundle.Config{Location: server.URL, PollMin: time.Hour, PollMax: time.Hour, LongPoll: time.Second}
	*cfg.Pace() = fastPace
	source, err := bundle.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go source.Poll(ctx, bundle.Version{}, target)
	eventually(t, "the server is asked", func() bool { return len(server.asked()) > 0 })
	time.Sleep(100 * time.Millisecond)
	if n := len(server.asked()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestByteOrderMarks is a bundle whose files begin with one, as some editors write them.
func TestByteOrderMarks(t *testing.T) {
	b, err := bundle.Read(pack(t, map[string]string{"/a.rego": "\ufeff" + ttlFile(60), "/data.json": "\ufeff{\"a\": 1}"}), nil)
	if err != nil || len(b.Files) != 2 {
		t.Fatalf("%+v, %v", b, err)
	}
}

// TestNotModifiedWithoutETag has a server whose answers of 304 do not repeat the ETag, as those of some clouds.
func TestNotModifiedWithoutETag(t *testing.T) {
	content := ttlBundle(t, "v1", 60)
	server := serveBundles(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"1"`)
		_, _ = w.Write(content)
	})
	e := polled(t, server.URL, nil)
	changes(t, e)
	eventually(t, "the server is asked again", func() bool { return len(server.asked()) > 5 })
	for n, r := range server.asked() {
		if etag := r.Header.Get("If-None-Match"); n > 0 && etag != `"1"` {
			t.Errorf("request %d is for a change of %q", n, etag)
		}
	}
	if s := e.Status(); s.ETag != `"1"` || !s.Healthy {
		t.Errorf("status %+v", s)
	}
}

// TestBundleWithoutEffect has a rule that no decision reads: a bundle is checked like a folder.
func TestBundleWithoutEffect(t *testing.T) {
	server := serveBundles(t, static(ttlBundle(t, "v1", 60), `"1"`))
	e := polled(t, server.URL, nil)
	changes(t, e)
	server.set(static(pack(t, map[string]string{"/a.rego": "package m2m.token\n\ndeny if input.client.id == \"x\"\n"}), `"2"`))
	wantParts(t, refused(t, e), `a.rego:3: deny has no effect, because no rule uses it (did you mean "rejected"?)`)
	server.set(static(pack(t, map[string]string{"/a.rego": "package m2m.token\n\nttl contains \"60\"\n"}), `"3"`))
	wantParts(t, refused(t, e), `a.rego:3: ttl holds a value`)
	wantTTL(t, e, 60)
}
