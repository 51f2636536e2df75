package bundle_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
)

// faults collects what a config's OnFault hears.
type faults struct {
	mu  sync.Mutex
	all []string
}

func (f *faults) add(doing string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, fmt.Sprintf("%s: %v", doing, err))
}

func (f *faults) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.all, "\n")
}

// keptFor is a store in which a node has kept a bundle of the server.
func keptFor(t *testing.T, location string, change func(*bundle.Config)) *memoryStore {
	t.Helper()
	store := new(memoryStore)
	e := load(t, remoteConfig(location, func(c *bundle.Config) {
		if change != nil {
			change(c)
		}
		c.Store = store
	}))
	stop := start(t, e)
	changes(t, e)
	eventually(t, "the bundle is kept", func() bool { _, n := store.stored(); return n == 1 })
	stop()
	return store
}

func TestKeptBundle(t *testing.T) {
	server := serveBundles(t, static(ttlBundle(t, "v1", 60), `"1"`))
	store := keptFor(t, server.URL, nil)
	if object, _ := store.stored(); !bytes.HasSuffix(object, ttlBundle(t, "v1", 60)) {
		t.Error("what is kept is not what came")
	}

	// a node that starts while the server does not answer
	server.set(page(503, "text/plain", ""))
	e := load(t, remoteConfig(server.URL, func(c *bundle.Config) { c.Store = store }))
	start(t, e)
	wantTTL(t, e, 60)
	if s := e.Status(); !strings.HasPrefix(s.Revision, "v1@") || s.ETag != `"1"` || s.Downloaded.IsZero() || !s.Confirmed.IsZero() {
		t.Errorf("status %+v", s)
	}
	changes(t, e)
	wantParts(t, refused(t, e), "503")
	wantTTL(t, e, 60)

	// one that starts when the server has nothing new
	before := len(server.asked())
	server.set(static(ttlBundle(t, "v1", 60), `"1"`))
	polled(t, server.URL, func(c *bundle.Config) { c.Store = store })
	eventually(t, "the server is asked", func() bool { return len(server.asked()) > before+20 })
	for _, r := range server.asked()[before:] {
		if etag := r.Header.Get("If-None-Match"); etag != `"1"` {
			t.Errorf("asked for a change of %q", etag)
		}
	}
	if _, n := store.stored(); n != 1 {
		t.Errorf("stored %d times", n)
	}
}

// TestKeptBundleBeforeStart has a decision come first.
func TestKeptBundleBeforeStart(t *testing.T) {
	server := serveBundles(t, static(ttlBundle(t, "v1", 60), `"1"`))
	store := keptFor(t, server.URL, nil)
	server.Close()
	before := store.loads
	e := load(t, remoteConfig(server.URL, func(c *bundle.Config) { c.Store = store }))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := e.DecideToken(t.Context(), request(t, "book:1:read")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	start(t, e)
	wantTTL(t, e, 60)
	if n := store.loads - before; n > 2 {
		t.Errorf("%d loads for 20 decisions and a start", n)
	}
}

// TestNothingKept asks the store once, however many decisions there are, and again after a while.
func TestNothingKept(t *testing.T) {
	store := new(memoryStore)
	e := load(t, remoteConfig("https://policy.example.com/m2m.tar.gz", func(c *bundle.Config) { c.Store, c.Pace().Restore = store, time.Hour }))
	for range 5 {
		_, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
		wantNotReady(t, err)
	}
	if store.loads != 1 {
		t.Errorf("%d loads", store.loads)
	}
	e = load(t, remoteConfig("https://policy.example.com/m2m.tar.gz", func(c *bundle.Config) { c.Store = store }))
	store.setFail(errors.New("away"))
	eventually(t, "it is asked again", func() bool {
		_, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
		wantNotReady(t, err)
		return store.loads > 3
	})
}

// TestKeptBundleThatIsNotUsed keeps objects that cannot be used. Then there is no policy, because the server does not
// answer.
func TestKeptBundleThatIsNotUsed(t *testing.T) {
	s := newSigner(t)
	signed := s.sign(t, "", map[string]string{"/ttl.rego": ttlFile(60)}, nil)
	server := serveBundles(t, static(signed, `"1"`))
	withKeys := func(c *bundle.Config) { c.Keys = s.keys() }
	object, _ := keptFor(t, server.URL, withKeys).stored()
	changed := func(old, new string) []byte { return bytes.Replace(object, []byte(old), []byte(new), 1) }
	location := server.URL
	unsigned, err := bundle.SealKept(location, ttlBundle(t, "v1", 60)) // by somebody who can write to the store
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	tests := map[string]struct {
		object   []byte
		location string
		keys     []bundle.Key
		fault    string // "" is none: it is as if nothing was kept
	}{
		"another URL's":    {object, location + "/other", s.keys(), ""},
		"another query's":  {object, location + "?tenant=2", s.keys(), ""},
		"of another key":   {object, location, newSigner(t).keys(), "the signature is not good"},
		"of no key":        {object, location, nil, "no key is configured"},
		"truncated":        {object[:len(object)-1], location, s.keys(), "its checksum is wrong"},
		"no envelope":      {signed, location, s.keys(), "it does not begin as"},
		"nothing":          {[]byte{}, location, s.keys(), "it does not begin as"},
		"no header":        {envelope.Seal("policy bundle", signed), location, s.keys(), "its header is not JSON"},
		"not signed":       {unsigned, location, s.keys(), "it is not signed"},
		"a hash of others": {changed("sha256:", "sha256:00"), location, s.keys(), "its checksum is wrong"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard := new(faults)
			e := load(t, remoteConfig(test.location, func(c *bundle.Config) {
				c.Keys, c.Store, c.OnFault = test.keys, &memoryStore{object: test.object}, heard.add
				c.Pace().Restore = time.Hour
			}))
			start(t, e)
			_, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
			wantNotReady(t, err)
			if got := heard.String(); got == "" != (test.fault == "") || !strings.Contains(got, test.fault) {
				t.Errorf("heard %q, want %q", got, test.fault)
			}
		})
	}
}

// TestBundleStoreThatFails hinders no decision; what it did not take is stored when it can be.
func TestBundleStoreThatFails(t *testing.T) {
	server := serveBundles(t, static(ttlBundle(t, "v1", 60), `"1"`))
	store, heard := new(memoryStore), new(faults)
	store.setFail(errors.New("the disk is full"))
	e := polled(t, server.URL, func(c *bundle.Config) { c.Store, c.OnFault = store, heard.add })
	changes(t, e)
	wantTTL(t, e, 60)
	eventually(t, "it is heard", func() bool {
		return strings.Contains(heard.String(), "starting with the policy bundle that was kept: loading: the disk is full") &&
			strings.Contains(heard.String(), "keeping the policy bundle: the disk is full")
	})
	if !e.Healthy() {
		t.Error("it is not healthy")
	}
	store.setFail(nil)
	eventually(t, "the bundle is kept", func() bool { _, n := store.stored(); return n == 1 })
}

// TestBundlesUnderLoad has every decision by one whole bundle.
func TestBundlesUnderLoad(t *testing.T) {
	versioned := func(v int) []byte {
		return pack(t, map[string]string{
			"/a.rego":    fmt.Sprintf("package m2m.token\n\nclaims.rego := %d\n\nclaims.data := data.version\n", v),
			"/b.rego":    fmt.Sprintf("package m2m.token\n\nttl contains %d\n", v+1),
			"/data.json": fmt.Sprintf(`{"version": %d}`, v),
			"/.manifest": fmt.Sprintf(`{"revision": "v%d"}`, v),
		})
	}
	const versions = 6
	server := serveBundles(t, static(versioned(0), `"0"`))
	e := polled(t, server.URL, nil)
	changes(t, e)
	var all sync.WaitGroup
	done := make(chan struct{})
	var seen sync.Map
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					checkSnapshot(t, e, &seen)
				}
			}
		})
	}
	for v := 1; v < versions; v++ {
		server.set(static(versioned(v), fmt.Sprintf(`"%d"`, v)))
		changes(t, e)
		checkSnapshot(t, e, &seen)
	}
	close(done)
	all.Wait()
	seen.Range(func(revision, version any) bool {
		if !strings.HasPrefix(revision.(string), fmt.Sprintf("v%v@", version)) {
			t.Errorf("version %v is by %v", version, revision)
		}
		return true
	})
}

func checkSnapshot(t *testing.T, e *policy.Engine, seen *sync.Map) {
	d, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
	if err != nil {
		t.Error(err)
		return
	}
	version := fmt.Sprint(d.Claims["rego"])
	if data, ttl := fmt.Sprint(d.Claims["data"]), fmt.Sprint(int(d.TTL.Seconds())-1); data != version || ttl != version {
		t.Errorf("rules of version %s with data of %s and lifetime of %s", version, data, ttl)
	}
	if before, taken := seen.LoadOrStore(d.Revision, version); taken && before != version {
		t.Errorf("revision %s is version %s and %s", d.Revision, before, version)
	}
}
