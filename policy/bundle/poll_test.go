package bundle_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
)

func TestBundleByHTTP(t *testing.T) {
	server := serveBundles(t, static(ttlBundle(t, "v1", 60), `"1"`))
	e := polled(t, server.URL+"/m2m.tar.gz?sig=a%2Fb/", func(c *bundle.Config) {
		c.Header = http.Header{"Authorization": {"Bearer hunter2"}}
	})
	changes(t, e)
	wantTTL(t, e, 60)
	if s := e.Status(); !s.Healthy || s.ETag != `"1"` || s.Downloaded.IsZero() || s.Where[0] != server.URL+"/m2m.tar.gz" || !strings.HasPrefix(s.Revision, "v1@") {
		t.Errorf("status %+v", s)
	}
	eventually(t, "the server is asked again", func() bool { return len(server.asked()) > 3 })
	for n, r := range server.asked() {
		if r.RequestURI != "/m2m.tar.gz?sig=a%2Fb/" || r.Header.Get("Authorization") != "Bearer hunter2" || r.Header.Get("Prefer") != "modes=snapshot" {
			t.Errorf("request %d: %s %v", n, r.RequestURI, r.Header)
		}
		if etag := r.Header.Get("If-None-Match"); n > 0 && etag != `"1"` {
			t.Errorf("request %d is for a change of %q", n, etag)
		}
	}
	reload(t, e, false)

	server.set(static(ttlBundle(t, "v2", 61), `"2"`))
	changes(t, e)
	wantTTL(t, e, 61)
	if s := e.Status(); s.ETag != `"2"` || s.Confirmed.Before(s.Downloaded) {
		t.Errorf("status %+v", s)
	}
}

// TestBundleServerWithoutETags sends everything each time: what is the same is not compiled again.
func TestBundleServerWithoutETags(t *testing.T) {
	server := serveBundles(t, static(ttlBundle(t, "v1", 60), ""))
	e := polled(t, server.URL, nil)
	changes(t, e)
	downloaded := e.Status().Downloaded
	eventually(t, "the server is asked again", func() bool { return len(server.asked()) > 3 })
	reload(t, e, false)
	if s := e.Status(); s.Downloaded != downloaded || !s.Confirmed.After(downloaded) || !s.Healthy {
		t.Errorf("status %+v", s)
	}
}

// TestBundleLongPolling has a server that answers when there is something new: that comes at once, though
// polling would take an hour.
func TestBundleLongPolling(t *testing.T) {
	type version struct {
		content []byte
		etag    string
	}
	var current atomic.Pointer[version]
	current.Store(&version{ttlBundle(t, "v1", 60), `"1"`})
	server := serveBundles(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", bundle.LongPollType)
		for end := time.Now().Add(time.Second); ; time.Sleep(5 * time.Millisecond) {
			v := current.Load()
			switch {
			case r.Header.Get("If-None-Match") != v.etag:
				w.Header().Set("ETag", v.etag)
				_, _ = w.Write(v.content)
				return
			case time.Now().After(end):
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
	})
	e := polled(t, server.URL, func(c *bundle.Config) {
		c.LongPoll, c.PollMin, c.PollMax = time.Second, time.Hour, time.Hour
		c.Pace().Answer = 5 * time.Second
	})
	changes(t, e)
	for n := range 3 {
		current.Store(&version{ttlBundle(t, "v", 61+n), fmt.Sprintf(`"%d"`, 2+n)})
		changes(t, e)
		wantTTL(t, e, 61+n)
	}
	eventually(t, "a long poll ends without news", func() bool { return len(server.asked()) > 5 })
	reload(t, e, false)
	for _, r := range server.asked() {
		if prefer := r.Header.Get("Prefer"); prefer != "modes=snapshot;wait=1" {
			t.Errorf("preference %q", prefer)
		}
	}
}

// TestBundleServerWithoutLongPolling is polled, at its own pace.
func TestBundleServerWithoutLongPolling(t *testing.T) {
	server := serveBundles(t, static(ttlBundle(t, "v1", 60), `"1"`))
	e := polled(t, server.URL, func(c *bundle.Config) { c.LongPoll, c.PollMin, c.PollMax = time.Second, time.Hour, time.Hour })
	changes(t, e)
	time.Sleep(100 * time.Millisecond)
	if n := len(server.asked()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestBundleServerThatErrs has a good bundle in force while its server sends something else. Each failure is reported
// once, and the good bundle stays in force.
func TestBundleServerThatErrs(t *testing.T) {
	s := newSigner(t)
	files := func(seconds int) map[string]string { return map[string]string{"/ttl.rego": ttlFile(seconds)} }
	good := static(s.sign(t, "", files(60), nil), `"good"`)
	elsewhere := serveBundles(t, static(s.sign(t, "", files(666), nil), `"else"`))
	endless := func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 1<<20)
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
	drip := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte{0x1f})
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}
	short := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("\x1f\x8b"))
	}
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	tests := map[string]struct {
		answer http.HandlerFunc
		part   string
	}{
		"a page":           {page(200, "text/html; charset=utf-8", "<html>hunter2</html>"), `it is not a gzipped tar archive, the server says it is "text/html; charset=utf-8"`},
		"JSON":             {page(200, "application/json", `{"secret": "hunter2"}`), "it is not a gzipped tar archive"},
		"nothing":          {page(200, "application/gzip", ""), "it is not a gzipped tar archive"},
		"no content":       {page(204, "application/gzip", ""), "the server answered 204 No Content"},
		"not found":        {page(404, "text/html", "hunter2"), "the server answered 404 Not Found"},
		"an error":         {page(500, "text/plain", "hunter2"), "the server answered 500"},
		"unauthorized":     {page(401, "text/plain", "hunter2"), "the server answered 401"},
		"an endless body":  {endless, "the archive has more than 64 MiB"},
		"a slow body":      {drip, "the answer takes too long to come"},
		"a short body":     {short, "reading the answer: unexpected EOF"},
		"silence":          {silent, "the server does not answer"},
		"a bomb":           {static(repeated(t, make([]byte, 1<<20), bundle.MaxUnpacked>>20+1), ""), "the files have more than 64 MiB"},
		"another origin":   {http.RedirectHandler(elsewhere.URL+"/m2m.tar.gz", http.StatusFound).ServeHTTP, "redirected to another origin"},
		"a circle":         {http.RedirectHandler("/round", http.StatusFound).ServeHTTP, "redirected more than 3 times"},
		"no signature":     {static(pack(t, files(61)), ""), "it is not signed"},
		"another key":      {static(newSigner(t).sign(t, "", files(61), nil), ""), "the signature is not good"},
		"a broken policy":  {static(s.sign(t, "", map[string]string{"/x.rego": "package m2m.token\n\nttl contains x\n"}, nil), `"broken"`), "x.rego:3: "},
		"a broken data":    {static(s.sign(t, "", map[string]string{"/data.json": `{"m2m": 1}`}, nil), ""), "data.m2m belongs"},
		"a hang-up":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"a changed scheme": {http.RedirectHandler("https://"+strings.TrimPrefix(elsewhere.URL, "http://"), http.StatusFound).ServeHTTP, "redirected to another origin"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serveBundles(t, good)
			store := new(memoryStore)
			e := polled(t, server.URL+"/m2m.tar.gz?key=hunter2", func(c *bundle.Config) {
				c.Keys, c.Store = s.keys(), store
				c.Header = http.Header{"Authorization": {"Bearer hunter2"}}
				switch { // a busy machine must not take one for the other
				case strings.HasPrefix(test.part, "the server does not"):
					c.Pace().Answer = 500 * time.Millisecond
				case strings.Contains(test.part, "too long"):
					c.Pace().Body = 500 * time.Millisecond
				}
			})
			changes(t, e)
			eventually(t, "the bundle is kept", func() bool { _, n := store.stored(); return n == 1 })
			server.set(test.answer)
			err := refused(t, e)
			wantParts(t, err, "bundle "+server.URL+"/m2m.tar.gz: ", test.part)
			wantTTL(t, e, 60)
			before := len(server.asked())
			eventually(t, "the server is asked again", func() bool { return len(server.asked()) > before+1 })
			reload(t, e, false)
			status := e.Status()
			if status.Healthy || status.Err == nil || strings.Contains(fmt.Sprint(err, status), "hunter2") {
				t.Errorf("error %v, status %+v", err, status)
			}
			server.set(good)
			eventually(t, "it is whole again", e.Healthy)
			reload(t, e, false)
			wantTTL(t, e, 60)
			if _, n := store.stored(); n != 1 {
				t.Errorf("stored %d times", n)
			}
		})
	}
	if n := len(elsewhere.asked()); n != 0 {
		t.Errorf("another origin was asked %d times", n)
	}
}

// TestBrokenBundleStaysBroken has it that the server is away, and then says that there is nothing new.
func TestBrokenBundleStaysBroken(t *testing.T) {
	broken := static(pack(t, map[string]string{"/x.rego": "package m2m.token\n\nttl contains x\n"}), `"broken"`)
	server := serveBundles(t, broken)
	e := polled(t, server.URL, nil)
	wantParts(t, refused(t, e), "x.rego:3: ")
	server.set(page(503, "text/plain", ""))
	wantParts(t, refused(t, e), "503")
	server.set(broken)
	wantParts(t, refused(t, e), "x.rego:3: ")
	if e.Healthy() || e.Revision() != "" {
		t.Error("it is healthy")
	}
	server.set(static(ttlBundle(t, "v2", 60), `"good"`))
	changes(t, e)
	if !e.Healthy() {
		t.Error("it is not healthy")
	}
}

func TestBundleRedirect(t *testing.T) {
	good := static(ttlBundle(t, "v1", 60), `"1"`)
	server := serveBundles(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/current.tar.gz" {
			http.Redirect(w, r, "/current.tar.gz", http.StatusFound)
			return
		}
		if r.Header.Get("Authorization") != "Bearer hunter2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		good(w, r)
	})
	e := polled(t, server.URL+"/m2m.tar.gz", func(c *bundle.Config) {
		c.Header = http.Header{"Authorization": {"Bearer hunter2"}}
	})
	changes(t, e)
	wantTTL(t, e, 60)
}

// TestBundleBeforeItComes makes no decision, and says so at once.
func TestBundleBeforeItComes(t *testing.T) {
	server := serveBundles(t, page(503, "text/plain", ""))
	e := load(t, remoteConfig(server.URL, nil))
	if len(server.asked()) != 0 {
		t.Error("the server is asked before Start")
	}
	_, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
	wantNotReady(t, err)
	_, err = e.DefaultScopes(t.Context(), request(t))
	wantNotReady(t, err)
	blocked, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = e.DecideToken(blocked, request(t, "book:1:read"))
	var failure *policy.Error
	if !errors.As(err, &failure) {
		t.Errorf("got %v", err)
	}
	if e.Healthy() || e.Revision() != "" {
		t.Error("it is healthy")
	}
	start(t, e)
	wantParts(t, refused(t, e), "the server answered 503")
	server.set(static(ttlBundle(t, "v1", 60), ""))
	changes(t, e)
	wantTTL(t, e, 60)
}

// TestBundlePollingEnds ends with the context, also within a request.
func TestBundlePollingEnds(t *testing.T) {
	waiting := make(chan struct{}, 100)
	gone := make(chan struct{}, 100)
	server := serveBundles(t, func(_ http.ResponseWriter, r *http.Request) {
		waiting <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		gone <- struct{}{}
	})
	e := load(t, remoteConfig(server.URL, nil))
	stop := start(t, e)
	<-waiting
	stop()
	<-gone
	time.Sleep(100 * time.Millisecond)
	reload(t, e, false)
	if n := len(server.asked()); n != 1 {
		t.Errorf("%d requests", n)
	}
}
