package cluster_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// insist sends a request until it is answered: the admin endpoint is unreachable for a moment at each reload.
func insist(t testing.TB, method, address, body string, header ...string) (a answer) {
	t.Helper()
	within(t, time.Minute, address+" answers", func() bool {
		var err error
		a, err = ask(plain, method, address, body, header...)
		return err == nil
	})
	return a
}

// keepReloading replaces the node's config with a different one repeatedly until it is stopped.
func (n *node) keepReloading() (stop func() int) {
	var done atomic.Bool
	var reloading sync.WaitGroup
	count := 0
	configs := [][]byte{n.config, []byte(strings.Replace(string(n.config), `"body":"ok"`, `"body":"ok."`, 1))}
	reloading.Go(func() {
		for ; !done.Load(); count++ {
			a, err := ask(plain, "POST", "http://"+n.admin+"/load", string(configs[(count+1)%2]), "Content-Type", "application/json")
			if err == nil && a.status != http.StatusOK {
				n.t.Errorf("reloading: %s", a)
			}
		}
	})
	stop = sync.OnceValue(func() int { done.Store(true); reloading.Wait(); return count })
	n.t.Cleanup(func() { stop() })
	return stop
}

// reloaded is a node whose config is replaced all the time. Its methods change something there and check at once that the
// change is in force.
type reloaded struct {
	*node
	wrong map[string]int
}

func (r *reloaded) change(method, path, body string, want int) answer {
	r.t.Helper()
	a := insist(r.t, method, "http://"+r.admin+"/m2m"+path, body, "Content-Type", "application/json")
	if a.status != want {
		r.t.Fatalf("%s %s answers %s, want %d", method, path, a, want)
	}
	return a
}

func (r *reloaded) hold(what string, a answer, want int) {
	if a.status != want {
		r.wrong[fmt.Sprintf("%s: %s, want %d", what, a, want)]++
	}
}

// token is asked for more than once, so that both configs are asked.
func (r *reloaded) token(what string, s secret, want int) (raw string) {
	r.t.Helper()
	for range 4 {
		a := insist(r.t, "POST", r.url+"/oauth2/token", s.form("book:*:read"), "Content-Type", formType)
		r.hold(what, a, want)
		raw, _ = a.field("access_token").(string)
	}
	return raw
}

func (r *reloaded) door(what, raw string, want int) {
	r.t.Helper()
	for range 4 {
		r.hold(what, insist(r.t, "GET", r.url+"/books/1", "", "Authorization", "Bearer "+raw), want)
	}
}

// TestChangesDuringReloads checks that a change that was acknowledged during a reload is in force at once in the former and in
// the next config.
func TestChangesDuringReloads(t *testing.T) {
	servertest.SkipUnlessLong(t)
	c := newCluster(t, "", nil)
	c.a.start()
	bot := c.client("ci-bot")
	r := &reloaded{c.a, make(map[string]int)}
	stop := c.a.keepReloading()
	for n := range 20 {
		raw := r.token("a client", bot, 200)
		r.door("a token", raw, 200)
		r.change("PATCH", "/clients/"+bot.id, `{"disabled": true}`, 200)
		r.token("a client that was disabled", bot, 401)
		r.change("PATCH", "/clients/"+bot.id, `{"disabled": false}`, 200)
		r.token("a client that was enabled", bot, 200)

		form := bot.form("") + "&token=" + raw
		r.hold("revoking", insist(t, "POST", r.url+"/oauth2/revoke", form, "Content-Type", formType), 200)
		r.door("a token that was revoked", raw, 401)

		another := secret{id: fmt.Sprint("bot-", n)}
		r.token("a client that is not there", another, 401)
		made := r.change("POST", "/clients", `{"id": "`+another.id+`", "grants": [{"resource": "book", "identifiers": ["*"], "actions": ["read"]}]}`, 201)
		another.secret, _ = made.field("client_secret").(string)
		raw = r.token("a client that was made", another, 200)

		r.change("POST", "/keys/rotate", `{"now": true, "reason": "leaked"}`, 201)
		r.door("a token of the revoked key", raw, 401)
		r.door("a token of a new key", r.token("a new key", bot, 200), 200)
		bot = another // because a client that fails often is slowed down
	}
	t.Logf("%d reloads", stop())
	for what, n := range r.wrong {
		t.Errorf("%d times %s", n, what)
	}
}
