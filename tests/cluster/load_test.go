package cluster_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is many requests at once, each held against what it must be answered. Its clients keep connections, as those of
// services do, and try nothing again.
type load struct {
	t        testing.TB
	done     atomic.Bool
	clients  sync.WaitGroup
	requests atomic.Int64
	lost     atomic.Int64 // requests that were not answered

	mu    sync.Mutex
	wrong map[string]int // answers that are none of those wanted
}

func newLoad(t testing.TB) *load {
	l := &load{t: t, wrong: make(map[string]int)}
	t.Cleanup(l.end)
	return l
}

// end waits for what is under way.
func (l *load) end() {
	l.done.Store(true)
	l.clients.Wait()
}

// request is what is sent, and what must be answered.
type request struct {
	what, method, url, body string
	header                  []string
	status                  int
	holds                   string // in the body
}

// run sends requests, the next one as soon as one is answered; next chooses them.
func (l *load) run(next func(n int) request) {
	l.clients.Go(func() {
		client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableCompression: true}}
		defer client.CloseIdleConnections()
		for n := 0; !l.done.Load(); n++ {
			r := next(n)
			a, err := ask(client, r.method, r.url, r.body, r.header...)
			l.requests.Add(1)
			switch {
			case err != nil:
				l.lost.Add(1)
			case a.status != r.status || !strings.Contains(a.body, r.holds):
				l.mu.Lock()
				l.wrong[fmt.Sprintf("%s: %.200s", r.what, a)]++
				l.mu.Unlock()
			}
			time.Sleep(time.Millisecond) // many clients, not the most that two processors can do
		}
	})
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

// await waits for so many further requests.
func (l *load) await(more int64) {
	l.t.Helper()
	enough := l.requests.Load() + more
	within(l.t, time.Minute, "the load goes on", func() bool { return l.requests.Load() >= enough })
}

// marks is a growing list that many read.
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
	bot, disabled secret
	good          string
	revoked       marks
}

// prepare makes the clients and tokens that the load needs.
func (c *cluster) prepare() *world {
	c.t.Helper()
	w := &world{bot: c.client("ci-bot"), disabled: c.client("former")}
	w.good = w.bot.mustToken(c.t, c.a.url)
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

// atIssuer chooses requests to the token endpoint.
func (w *world) atIssuer(url string) func(n int) request {
	ask := func(what string, s secret, scopes string, status int, holds string) request {
		return request{what, "POST", url + "/oauth2/token", s.form(scopes), []string{"Content-Type", formType}, status, holds}
	}
	return func(n int) request {
		switch n % 4 {
		case 0:
			return ask("a client with a wrong secret", secret{w.bot.id, "m2m_wrong"}, "book:*:read", 401, "invalid_client")
		case 1:
			return ask("a disabled client", w.disabled, "book:*:read", 401, "invalid_client")
		case 2:
			return ask("a scope that is not granted", w.bot, "book:*:edit", 400, `"rejected_scope":"book:*:edit"`)
		}
		return ask("a token", w.bot, "book:*:read book:*:edit", 200, `"rejected_scope":"book:*:edit"`)
	}
}

// atDoor chooses requests to a door, with tokens that were revoked before the load began, or at that node.
func (w *world) atDoor(url string, revoked *marks) func(n int) request {
	ask := func(what, path, raw string, status int, holds string) request {
		return request{what, "GET", url + path, "", []string{"Authorization", "Bearer " + raw}, status, holds}
	}
	return func(n int) request {
		switch n % 4 {
		case 0:
			return ask("a revoked token", "/books/1", revoked.get(n/4), 401, `"reason":"revoked"`)
		case 1:
			return ask("garbage", "/books/1", "a.b.c", 401, "invalid_token")
		case 2:
			return ask("a route without a rule", "/books/1/pages", w.good, 403, "no_rule")
		}
		return ask("a good token", "/books/1", w.good, 200, "ok")
	}
}
