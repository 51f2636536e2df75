package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRemoteIssuerIsFoundByDiscoveryOnTheFirstToken(t *testing.T) {
	d := newDoor(t, "require GET / book:read")
	if n := d.issuer.Fetches(); n != 0 {
		t.Errorf("starting made %d requests", n)
	}
	for range 5 {
		if got := d.ask("GET", "/", bearer(d.token("book:read"))); got.status != http.StatusOK {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if n := d.issuer.Fetches(); n != 2 {
		t.Errorf("five tokens made %d requests; want one for the metadata and one for the keys", n)
	}
}

// TestUnknownKeysDoNotFloodTheIssuer: of many tokens with made-up kids, only the first causes a fetch. A new key of the
// issuer is found that way.
func TestUnknownKeysDoNotFloodTheIssuer(t *testing.T) {
	d := newDoor(t, "")
	d.ask("GET", "/", bearer(d.token("")))
	d.issuer.Rotate()
	if got := d.ask("GET", "/", bearer(d.token(""))); got.status != http.StatusOK {
		t.Errorf("with the new key: %d %s", got.status, got.body)
	}
	before := d.issuer.Fetches()
	for _, kid := range []string{"a", "b", "c", "d", "../jwks"} {
		got := d.ask("GET", "/", bearer(d.issuer.Sign(d.issuer.Claims(doorAudience, "", nil), map[string]any{"kid": kid})))
		if got.status != http.StatusUnauthorized || got.reason() != "unknown_key" {
			t.Errorf("kid %q: %d %s", kid, got.status, got.body)
		}
	}
	if n := d.issuer.Fetches() - before; n != 0 {
		t.Errorf("made-up kids made %d requests", n)
	}
}

// TestADoorWhoseIssuerIsDown answers 503, which does not say anything about the token, until the issuer answers again.
func TestADoorWhoseIssuerIsDown(t *testing.T) {
	d := newDoor(t, "")
	d.issuer.SetDown(true)
	got := d.ask("GET", "/", bearer(d.token("")))
	if got.status != http.StatusServiceUnavailable || got.reason() != "no_keys" || got.member("error") != "temporarily_unavailable" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got.challenge() != "" || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("header %v", got.header)
	}
	if got := d.ask("GET", "/", bearer("not.a.token")); got.status != http.StatusUnauthorized {
		t.Errorf("what no key can help: %d %s", got.status, got.body)
	}
	if log := d.Log(); !strings.Contains(log, `"level":"error"`) || strings.Contains(log, d.token("")[:60]) {
		t.Errorf("the log does not say so, or says too much: %s", log)
	}
	d.issuer.SetDown(false)
	for deadline := time.Now().Add(doorTimeout); got.status != http.StatusOK; time.Sleep(100 * time.Millisecond) {
		if got = d.ask("GET", "/", bearer(d.token(""))); time.Now().After(deadline) {
			t.Fatalf("after it is back: %d %s", got.status, got.body)
		}
	}
	d.issuer.SetDown(true)
	if got := d.ask("GET", "/", bearer(d.token(""))); got.status != http.StatusOK {
		t.Errorf("with the keys at hand: %d %s", got.status, got.body)
	}
}

// TestDoorsOfOneRemoteIssuerShareItsKeys: the keys also outlive a reload of the config while the issuer is down.
func TestDoorsOfOneRemoteIssuerShareItsKeys(t *testing.T) {
	caddyfile := doorSite("route /a/* {\nm2m_auth {\nissuer ISSUER\naudience a\n}\n}\nroute /b/* {\nm2m_auth {\nissuer ISSUER\naudience b\n}\n}\nreverse_proxy UPSTREAM")
	d := newDoorSite(t, caddyfile)
	ask := func() {
		t.Helper()
		for path, audience := range map[string]string{"/a/1": "a", "/b/1": "b"} {
			if got := d.ask("GET", path, bearer(d.issuer.Sign(d.issuer.Claims(audience, "", nil), nil))); got.status != http.StatusOK {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		}
	}
	ask()
	if n := d.issuer.Fetches(); n != 2 {
		t.Errorf("%d requests; want one for the metadata and one for the keys", n)
	}
	d.issuer.SetDown(true)
	for n := range 3 {
		if err := d.Load(d.fill(caddyfile + strings.Repeat("\n", n))); err != nil {
			t.Fatal(err)
		}
		ask()
	}
}

func TestRemoteIssuersThatAreConfigErrors(t *testing.T) {
	d := newDoor(t, "")
	for settings, want := range map[string]string{
		"issuer ISSUER": "add `audience <url>`",
		"audience x":    "the m2m app has no issuer",
		"issuer http://auth.example.com\naudience x":      "must be https",
		"issuer https://auth.example.com?a=b\naudience x": "query",
		"issuer auth.example.com\naudience x":             "issuer",
	} {
		err := d.Load(d.fill(doorSite("m2m_auth {\n" + settings + "\n}")))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", settings, err, want)
		}
	}
	if got := d.ask("GET", "/", bearer(d.token(""))); got.status != http.StatusOK {
		t.Errorf("the door before: %d %s", got.status, got.body)
	}
}
