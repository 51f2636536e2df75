package caddymodule_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
)

// TestAClientThatRevokesManyCollapses: its further revocations succeed, and end all that it was issued up to a moment. Its later
// tokens and those of other clients stay valid, also after a restart.
func TestAClientThatRevokesManyCollapses(t *testing.T) {
	limitRevocations(t, 4)
	w := startIssuer(t, issuerSettings{site: bookDoor})
	token := func(client string) string { return *w.ask(client, "book:1:read").AccessToken }
	var old []string
	for range 6 {
		old = append(old, token("demo"))
	}
	careful := token("careful")
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(1010 * time.Millisecond))) // they are of an earlier second
	for _, raw := range old[:5] {
		w.revoke("demo", raw)
	}
	kept := token("demo")
	for range 2 {
		for _, raw := range old {
			w.revokedAtDoor(raw)
		}
		for _, raw := range []string{careful, kept, token("demo")} {
			if a := w.atDoor(raw); a.status != 200 {
				t.Errorf("another token: %s", a)
			}
		}
		if n := w.metricOf("caddy_m2m_revocations", w.url); n != "1" {
			t.Errorf("the metrics count %q in force", n)
		}
		if err := w.Restart(w.caddyfile()); err != nil {
			t.Fatal(err)
		}
	}
	log := w.Log()
	if n := strings.Count(log, `"a client has revoked so many of its tokens that all that it was issued up to a moment are revoked now"`); n != 1 {
		t.Errorf("the log has %d warnings", n)
	}
	if !strings.Contains(log, `"operation":"token.collapse"`) {
		t.Error("the audit log has no collapse")
	}
	w.revoke("demo", "garbage")
	w.revoke("careful", careful)
	w.revoke("demo", kept)
}

const bookDoor = `
	handle /books/* {
		m2m_auth {
			require GET /books/{id} book:{id}:read
		}
		respond 200
	}
`

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

// limitRevocations changes how many of its own tokens a client may have revoked one by one, until the test ends.
func limitRevocations(t *testing.T, most int) {
	before := issuer.MaxRevokedByClient
	issuer.MaxRevokedByClient = most
	t.Cleanup(func() { issuer.MaxRevokedByClient = before })
}
