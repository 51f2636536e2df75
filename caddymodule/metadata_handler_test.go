package caddymodule_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestResourceMetadataBesideItsDoor: the document that a challenge names is served, although the door never gets the request.
func TestResourceMetadataBesideItsDoor(t *testing.T) {
	for name, site := range map[string]string{
		"handle_path":  "m2m_resource_metadata\nhandle_path /v1/* {\nDOOR\nreverse_proxy UPSTREAM\n}\nrespond 404",
		"a matcher":    "m2m_resource_metadata\n@v1 path /v1/*\nm2m_auth @v1 {\nissuer ISSUER\naudience " + doorAudience + "/v1\n}\nreverse_proxy UPSTREAM",
		"by its name":  "m2m_resource_metadata " + doorAudience + "/v1\nhandle /v1/* {\nDOOR\nreverse_proxy UPSTREAM\n}\nhandle /v2/* {\nm2m_auth {\nissuer ISSUER\naudience " + doorAudience + "/v2\n}\n}\nrespond 404",
		"of two":       "m2m_resource_metadata\nhandle_path /v1/* {\nDOOR\nreverse_proxy UPSTREAM\n}\nhandle /v2/* {\nm2m_auth {\nissuer ISSUER\naudience " + doorAudience + "/v2\n}\n}\nrespond 404",
		"a door of it": "m2m_resource_metadata\nDOOR\nreverse_proxy UPSTREAM",
	} {
		t.Run(name, func(t *testing.T) {
			door := "m2m_auth {\nissuer ISSUER\naudience " + doorAudience + "/v1\n}"
			d := newDoorSite(t, doorSite(strings.Replace(site, "DOOR", door, 1)))
			const path = "/.well-known/oauth-protected-resource/v1"
			refused := d.ask("GET", "/v1/books", nil)
			if !strings.Contains(refused.challenge(), `resource_metadata="https://api.example.com`+path+`"`) {
				t.Fatalf("challenge %s", refused.challenge())
			}
			got := d.ask("GET", path, http.Header{"Host": {"api.example.com"}})
			if want := `{"resource":"https://api.example.com/v1","authorization_servers":["` + d.issuer.URL + `"],"bearer_methods_supported":["header"],"dpop_signing_alg_values_supported":["ES256","EdDSA","Ed25519","ES384","ES512","PS256","PS384","PS512","RS256","RS384","RS512"]}`; got.status != 200 || strings.TrimSpace(got.body) != want {
				t.Errorf("%d %s, want %s", got.status, got.body, want)
			}
			if got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("Etag") == "" {
				t.Errorf("header %v", got.header)
			}
			for _, other := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/v3", path + "/"} {
				if got := d.ask("GET", other, http.Header{"Host": {"api.example.com"}}); strings.Contains(got.body, "authorization_servers") {
					t.Errorf("%s: %s", other, got.body)
				}
			}
			if got := d.ask("POST", path, http.Header{"Host": {"api.example.com"}}); got.status != http.StatusMethodNotAllowed {
				t.Errorf("POST: %d", got.status)
			}
			d.upstream.taken()
		})
	}
}

// TestResourceMetadataOfSeveralHosts: with the same path at several hosts, each host has its own document. Doors of the same
// audience have one document with the issuers of all.
func TestResourceMetadataOfSeveralHosts(t *testing.T) {
	other := servertest.StartIssuer(t)
	d := newDoorSite(t, doorSite("m2m_resource_metadata\n"+
		"handle /a/* {\nm2m_auth {\nissuer ISSUER\naudience https://a.example.com\n}\n}\n"+
		"handle /b/* {\nm2m_auth {\nissuer ISSUER\naudience https://b.example.com\n}\n}\n"+
		"handle /b2/* {\nm2m_auth {\nissuer "+other.URL+"\naudience https://b.example.com\n}\n}\n"+
		"handle /c/* {\nm2m_auth {\nissuer ISSUER\naudience https://c.example.com\nmetadata off\n}\n}\nrespond none 404"))
	for host, want := range map[string][]string{
		"a.example.com":      {`"https://a.example.com","authorization_servers":["` + d.issuer.URL + `"]`},
		"A.example.com:8443": {`"https://a.example.com","authorization_servers":["` + d.issuer.URL + `"]`},
		"b.example.com":      {`"https://b.example.com"`, `"` + d.issuer.URL + `"`, `"` + other.URL + `"`},
		"c.example.com":      {"none"},
		"d.example.com":      {"none"},
	} {
		if got := d.ask("GET", "/.well-known/oauth-protected-resource", http.Header{"Host": {host}}); slices.ContainsFunc(want, func(part string) bool { return !strings.Contains(got.body, part) }) {
			t.Errorf("%s: %d %s, want %s", host, got.status, got.body, want)
		}
	}
}
