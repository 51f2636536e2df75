package caddymodule_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
)

// TestOneClientRevokesNoMoreThanItsShare: after that its tokens stay valid, and other clients can revoke theirs.
func TestOneClientRevokesNoMoreThanItsShare(t *testing.T) {
	limitRevocations(t, 3)
	w := startIssuer(t, issuerSettings{})
	token := func(client string) string { return *w.ask(client, "book:1:read").AccessToken }
	for range 3 {
		w.revoke("demo", token("demo"))
	}
	again := token("demo")
	for range 2 {
		a := w.about("revoke", "demo", again)
		if a.status != http.StatusTooManyRequests || a.Error != "temporarily_unavailable" || a.header.Get("Retry-After") != "60" {
			t.Errorf("the fourth is answered with %s", a)
		}
	}
	if a := w.about("introspect", "demo", again); a.body == `{"active":false}` {
		t.Errorf("the fourth is not active: %s", a)
	}
	w.revoke("demo", "garbage")
	w.revoke("careful", token("careful"))
}

// TestOneTokenCountsOnce although many requests revoke it at a time.
func TestOneTokenCountsOnce(t *testing.T) {
	limitRevocations(t, 3)
	w := startIssuer(t, issuerSettings{})
	raw := *w.ask("demo", "book:1:read").AccessToken
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			if a := w.about("revoke", "demo", raw); a.status != http.StatusOK {
				t.Errorf("it is answered with %s", a)
			}
		})
	}
	asking.Wait()
	for range 2 {
		w.revoke("demo", *w.ask("demo", "book:1:read").AccessToken)
	}
	if n := strings.Count(w.Log(), `"tokens revoked"`); n != 3 {
		t.Errorf("%d tokens are revoked, says the log", n)
	}
}

// limitRevocations changes how many of its own tokens a client may have revoked, until the test ends.
func limitRevocations(t *testing.T, most int) {
	before := issuer.MaxRevokedByClient
	issuer.MaxRevokedByClient = most
	t.Cleanup(func() { issuer.MaxRevokedByClient = before })
}
