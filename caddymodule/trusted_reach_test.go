package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// reachDoor is a door whose issuer has these options, in which META and KEYS stand for the documents on another origin.
func reachDoor(t *testing.T, issuer, options string) *door {
	t.Helper()
	real := servertest.StartIssuer(t)
	var there *httptest.Server
	there = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			_, _ = w.Write(real.JWKS())
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": "kubernetes/serviceaccount", "jwks_uri": there.URL + "/keys"})
	}))
	t.Cleanup(there.Close)
	options = strings.NewReplacer("META", there.URL+"/meta", "KEYS", there.URL+"/keys").Replace(options)
	site := doorSite("m2m_auth {\naudience " + doorAudience + "\nissuer " + issuer + " {\n" + options + "\n}\nheader X-Roles realm_access.roles\nheader X-Client-Id client_id\n}\n" +
		"respond `{http.request.header.X-Client-Id}|{http.request.header.X-Roles}|{http.auth.user.scope}|{http.auth.user.claims.realm_access.tier}`")
	d := &door{t: t, address: "127.0.0.1:" + strings.Split(servertest.FreeURL(t), ":")[2], issuer: real, upstream: startDoorUpstream(t)}
	d.caddyfile = d.fill(site)
	d.Server = servertest.Start(t, d.caddyfile)
	return d
}

func (d *door) askAs(issuer string, changes map[string]any) answer {
	claims := d.issuer.Claims(doorAudience, "", changes)
	claims["iss"] = issuer
	return d.ask("GET", "/", bearer(d.issuer.Sign(claims, nil)))
}

// TestIssuerThatIsANameOnly: with discovery or jwks_uri, iss need not be a URL. Nested claims and the list of clients count.
func TestIssuerThatIsANameOnly(t *testing.T) {
	const name = "kubernetes/serviceaccount"
	d := reachDoor(t, name, "discovery META\nscope_claim realm_access.roles\nclient_id demo\nallow_missing aud")
	roles := map[string]any{"realm_access": map[string]any{"roles": []string{"book:read", "admin"}, "tier": "gold"}}
	if got := d.askAs(name, roles); got.body != "demo|book:read admin|book:read admin|gold" {
		t.Errorf("%d %s\n%s", got.status, got.body, d.Log())
	}
	if got := d.askAs(name, map[string]any{"aud": nil}); got.body != "demo|||" {
		t.Errorf("without aud: %d %s", got.status, got.body)
	}
	if got := d.ask("GET", "/.well-known/oauth-protected-resource", nil).body; !strings.Contains(got, doorAudience) || strings.Contains(got, name) {
		t.Errorf("the metadata names what is not a URL: %s", got)
	}
	for reason, changes := range map[string]map[string]any{
		"wrong_client":   {"client_id": "other", "aud": nil},
		"wrong_audience": {"aud": "https://other.example.com"},
		"bad_claims":     {"client_id": nil, "aud": nil},
	} {
		if got := d.askAs(name, changes); got.status != http.StatusUnauthorized || got.reason() != reason {
			t.Errorf("%s: %d %s", reason, got.status, got.body)
		}
	}
	if got := d.askAs(d.issuer.URL, nil); got.reason() != "wrong_issuer" {
		t.Errorf("of an issuer with the same keys: %d %s", got.status, got.body)
	}
	for _, keys := range []string{"jwks_uri KEYS", "jwks_uri KEYS\nhttp_network 127.0.0.0/8"} {
		old := d.caddyfile
		at := strings.Index(old, "discovery ")
		meta, _, _ := strings.Cut(old[at+len("discovery "):], "\n")
		changed := strings.Replace(old, "discovery "+meta, strings.Replace(keys, "KEYS", strings.Replace(meta, "/meta", "/keys", 1), 1), 1)
		if err := d.Load(changed); err != nil {
			t.Fatal(err)
		}
		if got := d.askAs(name, nil); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", keys, got.status, got.body)
		}
	}
	if err := d.Load(strings.Replace(d.caddyfile, "discovery ", "http_network 10.0.0.0/8\ndiscovery ", 1)); err != nil {
		t.Fatal(err)
	}
	if got := d.askAs(name, nil); got.reason() != "no_keys" || !strings.Contains(d.Log(), "127.0.0.1 is not on one") {
		t.Errorf("on another network: %d %s", got.status, got.body)
	}
}

// TestTheLogNamesTheOtherIssuer: the operator sees what the document calls itself.
func TestTheLogNamesTheOtherIssuer(t *testing.T) {
	d := reachDoor(t, "https://sso.example.com/realms/shop", "discovery META")
	if got := d.askAs("https://sso.example.com/realms/shop", nil); got.reason() != "no_keys" {
		t.Errorf("%d %s", got.status, got.body)
	}
	servertest.Eventually(t, "the log says so", func() bool {
		return strings.Contains(d.Log(), `the document names another issuer, \"kubernetes/serviceaccount\"`)
	})
}
