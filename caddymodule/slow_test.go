package caddymodule_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// TestFailuresAreSlowedDownAcrossReloads at all endpoints together, with an answer of the same bytes, and never for a right secret.
func TestFailuresAreSlowedDownAcrossReloads(t *testing.T) {
	w := startIssuer(t, issuerSettings{site: "metrics /metrics"})
	fail := func(endpoint, id string) string {
		form := url.Values{"grant_type": {"client_credentials"}, "token": {"x"}, "client_id": {id}, "client_secret": {registry.NewSecret()}}
		a := w.do(w.request(http.MethodPost, w.url+"/oauth2/"+endpoint, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded"))
		if a.status != http.StatusUnauthorized {
			t.Fatalf("%s is answered with %s", endpoint, a)
		}
		return a.body
	}
	slowed := func() string {
		return w.metricOf("caddy_m2m_failed_authentications_slowed_total", w.url)
	}
	first := fail("token", "demo")
	for n := range 9 {
		if body := fail([]string{"token", "introspect", "revoke"}[n%3], "demo"); body != first {
			t.Errorf("the answer is %s", body)
		}
	}
	if n := slowed(); n != "" {
		t.Errorf("%s of 10 failures are slowed down", n)
	}
	if err := w.Load(w.caddyfile() + "# reloaded\n"); err != nil {
		t.Fatal(err)
	}
	if body := fail("token", "demo"); body != first || slowed() != "1" {
		t.Errorf("after a reload the answer is %s, and %q are slowed down", body, slowed())
	}
	if a := w.ask("demo", "book:1:read"); a.status != http.StatusOK {
		t.Errorf("the right secret: %s", a)
	}
	fail("token", "nobody")
	if n := slowed(); n != "1" {
		t.Errorf("%s failures are slowed down", n)
	}
}
