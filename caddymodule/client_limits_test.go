package caddymodule_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// withLimits is the catalogue with a client that has limits of its own.
const withLimits = catalogue + `  busy:
    limits: {rate: 1000/s, burst: 100, concurrent: 50}
    secrets: [{id: s1, sha256: HASH}]
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
`

// limited fails the test unless the answer is 429.
func limited(t testing.TB, what string, a tokenAnswer) {
	t.Helper()
	if a.status != http.StatusTooManyRequests || a.Error != "temporarily_unavailable" || a.Description == "" {
		t.Errorf("%s is answered with %s", what, a)
	}
	if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 300 || after > 3600 { // for 1/h, or 10 introspections per h
		t.Errorf("%s: Retry-After is %q", what, a.header.Get("Retry-After"))
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s: the answer may be stored: %v", what, a.header)
	}
}

// TestAClientHasItsRate at all endpoints, and keeps what it has used when the config is loaded again.
func TestAClientHasItsRate(t *testing.T) {
	w := startIssuer(t, issuerSettings{registry: withLimits, options: "client_limits {\nrate 1/h\nburst 3\n}"})
	var raw string
	for range 3 {
		a := w.ask("demo", "book:1:read")
		w.granted(a)
		raw = *a.AccessToken
	}
	all := func(when string) {
		t.Helper()
		limited(t, when+", a token", w.ask("demo", "book:1:read"))
		limited(t, when+", an introspection", w.about("introspect", "demo", raw))
		limited(t, when+", a revocation", w.about("revoke", "demo", raw))
	}
	all("at first")
	if a := w.post(w.form("demo", "book:1:read", "client_secret", "wrong")); a.status == http.StatusTooManyRequests {
		t.Errorf("a malformed request is answered with %s", a)
	}
	w.granted(w.ask("careful", "book:1:read")) // others have a rate of their own
	for range 30 {
		w.granted(w.ask("busy", "book:1:read"))
	}

	metrics := w.get(w.url + "/metrics").body
	for _, endpoint := range []string{"token", "introspection", "revocation"} {
		want := fmt.Sprintf("caddy_m2m_requests_not_admitted_total{endpoint=%q,issuer=%q,reason=\"rate\"} 1\n", endpoint, w.url)
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics have no line %s", want)
		}
	}
	if got := w.metric("clients_refused_total", `reason="rate_limit"`); got != "3" {
		t.Errorf("%s clients are refused", got)
	}
	servertest.Eventually(t, "the client is logged", func() bool { return w.refusedLines("rate_limit") == 1 })

	reload := func(options string) {
		t.Helper()
		w.options = options
		if err := w.Load(w.caddyfile()); err != nil {
			t.Fatal(err)
		}
	}
	reload("client_limits {\nrate 1/h\nburst 4\n}")
	all("after a reload")
	reload("client_limits off")
	for range 5 {
		w.granted(w.ask("demo", "book:1:read"))
	}
	if a := w.about("introspect", "demo", raw); !strings.Contains(a.body, `"active":true`) {
		t.Errorf("a revocation that was refused has revoked: %s", a)
	}
}

// refusedLines counts the log lines about demo that have a reason.
func (w *issuerWorld) refusedLines(reason string) (n int) {
	for _, line := range w.LogLines("m2m") {
		if line["msg"] == "a client is refused" && line["reason"] == reason && line["client_id"] == "demo" {
			n++
		}
	}
	return n
}

// TestAStrangerUsesUpNothing of what a client may ask for.
func TestAStrangerUsesUpNothing(t *testing.T) {
	w := startIssuer(t, issuerSettings{options: "client_limits {\nrate 1/h\nburst 1\n}"})
	secret := w.secret
	w.secret = strings.Replace(secret, secret[len(secret)-1:], "x", 1)
	for range 5 {
		if a := w.ask("demo", "book:1:read"); a.status == http.StatusTooManyRequests {
			t.Errorf("a wrong secret is answered with %s", a)
		}
	}
	w.secret = secret
	w.granted(w.ask("demo", "book:1:read"))
}

// TestOneClientFloods: all requests get an answer, and another client is never refused.
func TestOneClientFloods(t *testing.T) {
	w := startIssuer(t, issuerSettings{options: "client_limits {\nrate off\nconcurrent 4\n}"})
	w.client.Transport.(*http.Transport).DisableKeepAlives = false
	stop := make(chan struct{})
	var flood sync.WaitGroup
	var mu sync.Mutex
	answers := make(map[int]int)
	for range 24 {
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				a := w.ask("demo", "book:1:read announce:2:read")
				mu.Lock()
				answers[a.status]++
				mu.Unlock()
			}
		})
	}
	for range 50 {
		w.granted(w.ask("careful", "book:1:read"))
	}
	close(stop)
	flood.Wait()
	for status := range answers {
		if status != http.StatusOK && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
			t.Errorf("the flood is answered with %v", answers)
		}
	}
	if answers[http.StatusOK] == 0 {
		t.Errorf("the flood is answered with %v", answers)
	}
}

// TestATokenWithAnUnknownKeyHoldsNoSlot: while the storage does not say which keys there are, the others go on.
func TestATokenWithAnUnknownKeyHoldsNoSlot(t *testing.T) {
	w := startIssuer(t, issuerSettings{})
	good := *w.ask("demo", "book:1:read").AccessToken
	let, asked := make(chan struct{}), make(chan struct{}, 100)
	w.WatchStorage(func(operation, key string) {
		if operation == "List" && strings.HasSuffix(key, "/keys") {
			asked <- struct{}{}
			<-let
		}
	})
	elsewhere := servertest.StartIssuer(t)
	unknown := elsewhere.Sign(elsewhere.Claims(w.url, "book:read", nil), nil)
	var all sync.WaitGroup
	for _, client := range []string{"demo", "careful", "almighty"} {
		for range 8 * runtime.GOMAXPROCS(0) {
			for _, endpoint := range []string{"introspect", "revoke"} {
				all.Go(func() { w.about(endpoint, client, unknown) })
			}
		}
	}
	<-asked
	for range 10 {
		w.granted(w.ask("careful", "book:1:read"))
		if a := w.about("introspect", "demo", good); !strings.Contains(a.body, `"active":true`) {
			t.Errorf("a good token: %s", a)
		}
	}
	close(let)
	all.Wait()
	w.WatchStorage(nil)
}
