package cluster_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// load sends many requests at once, and checks each answer. Its clients keep connections, as services do, and do not retry.
type load struct {
	t        testing.TB
	done     atomic.Bool
	clients  sync.WaitGroup
	requests atomic.Int64
	lost     atomic.Int64 // requests that were not answered

	mu    sync.Mutex
	wrong map[string]int // unexpected answers
	why   map[string]int // requests without an answer, by reason
}

func newLoad(t testing.TB) *load {
	l := &load{t: t, wrong: make(map[string]int), why: make(map[string]int)}
	t.Cleanup(l.end)
	return l
}

// end waits for the requests in flight.
func (l *load) end() {
	l.done.Store(true)
	l.clients.Wait()
}

// request is a request and its expected answer.
type request struct {
	what, method, url, body string
	header                  []string
	status                  int
	holds                   string       // in the body
	then                    func(answer) // called with the expected answer
}

// send sends a request once. Go's client would retry it after a closed connection if it could read the body again, or if
// there were none.
func (r request) send(client *http.Client) (answer, error) {
	request, err := http.NewRequest(r.method, r.url, io.NopCloser(strings.NewReader(r.body)))
	if err != nil {
		return answer{}, err
	}
	request.ContentLength = int64(len(r.body))
	for i := 0; i < len(r.header); i += 2 {
		request.Header.Set(r.header[i], r.header[i+1])
	}
	return read(client.Do(request))
}

// run sends requests one after another; next chooses them.
func (l *load) run(next func(n int) request) {
	l.clients.Go(func() {
		client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableCompression: true}}
		defer client.CloseIdleConnections()
		for n := 0; !l.done.Load(); n++ {
			r := next(n)
			a, err := r.send(client)
			l.requests.Add(1)
			switch {
			case err != nil:
				l.lost.Add(1)
				l.count(l.why, reasonOf(err))
			case a.status != r.status || !strings.Contains(a.body, r.holds):
				l.count(l.wrong, fmt.Sprintf("%s: %.200s", r.what, a))
			case r.then != nil:
				r.then(a)
			}
			time.Sleep(time.Millisecond) // the test needs many clients, not the highest rate
		}
	})
}

func (l *load) count(in map[string]int, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in[what]++
}

// reasonOf says why a request has no answer.
func reasonOf(err error) string {
	for reason, is := range map[string]error{"reset": syscall.ECONNRESET, "refused": syscall.ECONNREFUSED, "broken pipe": syscall.EPIPE, "EOF": io.EOF} {
		if errors.Is(err, is) {
			return reason
		}
	}
	if strings.Contains(err.Error(), "server closed idle connection") { // net/http found it closed before it sent anything
		return "EOF"
	}
	return err.Error()
}

// String says how many requests were not answered, and why.
func (l *load) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%d of %d %v", l.lost.Load(), l.requests.Load(), l.why)
}

// check fails the test for every wrong answer.
func (l *load) check() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, what := range slices.Sorted(maps.Keys(l.wrong)) {
		l.t.Errorf("%d wrong answers: %s", l.wrong[what], what)
	}
}

// await waits for a number of further requests.
func (l *load) await(more int64) {
	l.t.Helper()
	enough := l.requests.Load() + more
	within(l.t, time.Minute, "the load goes on", func() bool { return l.requests.Load() >= enough })
}

// marks is a growing list that several goroutines read.
type marks struct {
	mu  sync.Mutex
	all []string
}

func (m *marks) add(text string) { m.mu.Lock(); defer m.mu.Unlock(); m.all = append(m.all, text) }

func (m *marks) get(n int) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.all[n%len(m.all)]
}

func (m *marks) list() []string { m.mu.Lock(); defer m.mu.Unlock(); return slices.Clone(m.all) }

// world is what the load of a cluster asks for.
type world struct {
	failed        atomic.Int64 // when a client last failed to authenticate
	bot, disabled secret
	good          string
	narrow        string // covers other books
	elsewhere     string // is for another audience
	revoked       marks
}

// prepare makes the clients and tokens that the load needs.
func (c *cluster) prepare() *world {
	c.t.Helper()
	w := &world{bot: c.client("ci-bot"), disabled: c.client("former")}
	w.good = w.bot.mustToken(c.t, c.a.url)
	w.narrow = w.bot.scopedToken(c.t, c.a.url, "book:2:read")
	w.elsewhere = c.filmToken()
	w.revoke(c, c.a)
	c.a.want(200, "PATCH", "/clients/former", `{"disabled": true}`)
	within(c.t, 10*time.Second, "B knows it all", func() bool {
		refused, err := w.disabled.token(plain, c.b.url)
		return err == nil && refused.status == 401 && c.b.atDoor(w.revoked.get(0)).status == 401
	})
	within(c.t, 30*time.Second, "so does the door elsewhere", func() bool {
		return c.edge.atDoor(w.good).status == 200 && c.edge.atDoor(w.revoked.get(0)).status == 401
	})
	return w
}

// filmToken is a token of a resource that another API has.
func (c *cluster) filmToken() string {
	c.t.Helper()
	c.a.want(201, "POST", "/resources", `{"code": "film", "actions": {"read": ""}, "audience": "https://films.example.com"}`)
	made := c.a.want(201, "POST", "/clients", `{"id": "projector", "grants": [{"resource": "film", "identifiers": ["*"], "actions": ["read"]}]}`)
	text, _ := made.field("client_secret").(string)
	return secret{"projector", text}.scopedToken(c.t, c.a.url, "film:*:read")
}

func (s secret) scopedToken(t testing.TB, at, scopes string) string {
	t.Helper()
	a := must(t, "POST", at+"/oauth2/token", s.form(scopes), "Content-Type", formType)
	raw, _ := a.field("access_token").(string)
	if raw == "" {
		t.Fatalf("no token: %s", a)
	}
	return raw
}

// revoke revokes a new token at a node; from then on the load may use it at that node.
func (w *world) revoke(c *cluster, at *node) string {
	raw := w.bot.mustToken(c.t, at.url)
	if a := w.bot.about(c.t, at.url, "revoke", raw); a.status != 200 {
		c.t.Fatalf("revoking: %s", a)
	}
	if a := at.atDoor(raw); a.status != 401 {
		c.t.Errorf("a token that was just revoked: %s", a)
	}
	w.revoked.add(raw)
	return raw
}

// mayFail reports whether a client may fail to authenticate now: seldom enough not to be slowed down, so that the load goes on.
func (w *world) mayFail() bool {
	now, last := time.Now().UnixNano(), w.failed.Load()
	return now-last > int64(4*time.Second) && w.failed.CompareAndSwap(last, now)
}

// atIssuer chooses requests to the token endpoint.
func (w *world) atIssuer(url string) func(n int) request { return w.using(url, nil) }

// using is like atIssuer, and uses each token at a door at once.
func (w *world) using(url string, doors []*node) func(n int) request {
	ask := func(what string, s secret, scopes string, status int, holds string) request {
		return request{what: what, method: "POST", url: url + "/oauth2/token", body: s.form(scopes),
			header: []string{"Content-Type", formType}, status: status, holds: holds}
	}
	fresh := ""
	return func(n int) request {
		if len(doors) > 0 && fresh != "" {
			raw := fresh
			fresh = ""
			return w.atTheDoor("a new token", doors[n%len(doors)].url, "/books/1", raw, 200, "ok")
		}
		switch n % 5 {
		case 0:
			if w.mayFail() {
				return ask("a client with a wrong secret", secret{w.bot.id, "m2m_wrong"}, "book:*:read", 401, "invalid_client")
			}
		case 1:
			if w.mayFail() {
				return ask("a disabled client", w.disabled, "book:*:read", 401, "invalid_client")
			}
		case 2:
			return ask("a scope that is not granted", w.bot, "book:*:edit", 400, `"rejected_scope":"book:*:edit"`)
		}
		r := ask("a token", w.bot, "book:*:read book:*:edit", 200, `"rejected_scope":"book:*:edit"`)
		r.then = func(a answer) { fresh, _ = a.field("access_token").(string) }
		return r
	}
}

// atDoor chooses requests to a door, with tokens that were revoked before the load began, or at that node.
func (w *world) atDoor(url string, revoked *marks) func(n int) request {
	return func(n int) request {
		switch n % 6 {
		case 0:
			return w.atTheDoor("a revoked token", url, "/books/1", revoked.get(n/6), 401, `"reason":"revoked"`)
		case 1:
			return w.atTheDoor("garbage", url, "/books/1", "a.b.c", 401, "invalid_token")
		case 2:
			return w.atTheDoor("a route without a rule", url, "/books/1/pages", w.good, 403, "no_rule")
		case 3:
			return w.atTheDoor("another book", url, "/books/1", w.narrow, 403, `"error":"insufficient_scope"`)
		case 4:
			return w.atTheDoor("another audience", url, "/books/1", w.elsewhere, 401, `"reason":"wrong_audience"`)
		}
		return w.atTheDoor("a good token", url, "/books/1", w.good, 200, "ok")
	}
}

func (w *world) atTheDoor(what, url, path, raw string, status int, holds string) request {
	return request{what: what, method: "GET", url: url + path, header: []string{"Authorization", "Bearer " + raw}, status: status, holds: holds}
}
