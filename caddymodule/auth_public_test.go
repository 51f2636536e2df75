package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

const publicLines = `
	keep_token
	require GET /books/{id} book:{id}:read
	public  GET /healthz
	public  GET /public/{rest...}
	require GET /public/private/{id} book:{id}:read
	require /admin/{rest...} admin:*:use
	public  OPTIONS /books/{id}
	public  GET status.example.com/{$}`

// TestPublicRoutes has a table of requests without a token.
func TestPublicRoutes(t *testing.T) {
	d := newDoor(t, publicLines)
	for request, want := range map[string]string{
		"GET /healthz":        "200",
		"GET /healthz?x=1":    "200",
		"GET /public/a/b":     "200",
		"OPTIONS /books/1":    "200",
		"POST /healthz":       "401 missing_token",
		"GET /healthz/":       "401 missing_token",
		"GET /HEALTHZ":        "401 missing_token", // of no line, so a token for it does not exist either
		"GET /Public/a":       "401 missing_token",
		"GET /":               "401 missing_token",
		"GET /books/1":        "401 missing_token",
		"POST /books/1":       "401 missing_token",
		"GET /elsewhere":      "401 missing_token",
		"OPTIONS /admin/x":    "401 missing_token",
		"GET /public/private": "200",
		// the most specific pattern wins, as among require lines
		"GET /public/private/1": "401 missing_token",
		"GET /public/PRIVATE/1": "401 missing_token",
		// what is public is the path, and not a text in the URL
		"GET /books/1?x=/healthz":                   "401 missing_token",
		"GET /books/1?/public/x":                    "401 missing_token",
		"GET /books/healthz":                        "401 missing_token",
		"GET /xhealthz":                             "401 missing_token",
		"GET /healthz.json":                         "401 missing_token",
		"GET http://status.example.com/":            "200",
		"GET http://status.example.com/x":           "401 missing_token",
		"GET http://status.example.com:8443/":       "200",
		"GET http://status.example.com../":          "400 ambiguous_host",
		"GET /public/..;/books/1":                   "400 ambiguous_path",
		"GET /public/../books/1":                    "400 ambiguous_path",
		"GET /public/%2e%2e/books/1":                "400 ambiguous_path",
		"GET /public/..%2fbooks/1":                  "400 ambiguous_path",
		"GET /public/..%5cbooks%5c1":                "400 ambiguous_path",
		"GET /public/%252e%252e/books/1":            "400 ambiguous_path",
		"GET /public//books/1":                      "400 ambiguous_path",
		"GET //healthz":                             "400 ambiguous_path",
		"GET /healthz;x=1":                          "400 ambiguous_path",
		"GET /healthz%00":                           "400 ambiguous_path",
		"GET /healthz%3f":                           "400 ambiguous_path",
		"GET /books/1/../../healthz":                "400 ambiguous_path",
		"GET /healthz?_method=DELETE":               "400 ambiguous_method",
		"get /healthz":                              "400 ambiguous_method",
		"GET /.well-known/oauth-protected-resource": "200", // the door's own document
	} {
		t.Run(request, func(t *testing.T) {
			got := d.askRaw(request + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if line := strings.TrimSpace(fmt.Sprintf("%d %s", got.status, got.reason())); line != want {
				t.Errorf("%s, want %s", line, want)
			}
			d.upstream.taken()
		})
	}
	if got := d.ask("HEAD", "/healthz", nil); got.status != http.StatusOK {
		t.Errorf("HEAD: %d", got.status)
	}
	if got := d.ask("GET", "/healthz", http.Header{"X-Http-Method-Override": {"DELETE"}}); got.status != http.StatusBadRequest || got.reason() != "ambiguous_method" {
		t.Errorf("with a method in a header: %d %s", got.status, got.body)
	}
	if got := d.ask("GET", "/public/private/1", bearer(d.token("book:1:read"))); got.status != http.StatusOK {
		t.Errorf("with a token for the line inside: %d %s", got.status, got.body)
	}
}

// TestPublicRequestsLoseTheirIdentity: what the client sent in the place of identity headers goes, and so does its token,
// whether it is good or not.
func TestPublicRequestsLoseTheirIdentity(t *testing.T) {
	d := newDoorSite(t, doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+publicLines+"\n}\n"+
		"reverse_proxy UPSTREAM {\nheader_up X-Placeholder <{http.auth.user.id}{http.auth.user.client_id}{http.auth.user.claims.sub}>\n}"))
	for name, authorization := range map[string][]string{
		"no token": nil, "a good token": {"Bearer " + d.token("*")}, "a bad token": {"Bearer a.b.c"}, "not a token": {"Bearer"},
		"two": {"Bearer a", "Bearer b"}, "a password": {"Basic ZGVtbzpkZW1v"},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{
				"X-Client-Scope": {"*"}, "X-Original-Url": {"/admin/x"}, "X-Forwarded-Prefix": {"/admin"}, "Authorization": authorization,
				"Connection": {"close, Authorization, X-Client-Id"}, "Trailer": {"X-Client-Id"}, "Accept": {"text/plain"},
			}
			for _, spelling := range identitySpellings {
				header[spelling] = []string{"admin"}
			}
			got := d.ask("GET", "/healthz", header)
			if got.status != http.StatusOK || got.challenge() != "" {
				t.Fatalf("%d %s", got.status, got.body)
			}
			seen := d.upstream.taken()[0].Header
			for _, field := range []string{"X-Client-Id", "X-Client-Scope", "Authorization", "X-Original-Url", "X-Forwarded-Prefix", "Trailer"} {
				if values := identityIn(seen, field); len(values) > 0 {
					t.Errorf("the upstream gets %s: %q", field, values)
				}
			}
			if seen.Get("Accept") != "text/plain" || seen.Get("X-Placeholder") != "<>" {
				t.Errorf("the upstream gets %v", seen)
			}
		})
	}
	d.askRaw("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n")
	if seen := d.upstream.taken(); len(seen) != 1 || seen[0].Header.Get("Upgrade") != "" {
		t.Errorf("the upgrade to h2c goes on: %v", seen)
	}
}

// TestPublicRouteWithATokenInTheURL: with keep_token, the upstream takes every token for a verified one.
func TestPublicRouteWithATokenInTheURL(t *testing.T) {
	d := newDoor(t, "public GET /healthz\nkeep_token")
	for query, want := range map[string]int{"": 200, "?a=access_token": 200, "?access_token=a.b.c": 400, "?x;access%5Ftoken=a.b.c": 400} {
		if got := d.ask("GET", "/healthz"+query, nil); got.status != want || want == 400 && got.reason() != "malformed_request" {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
}

// TestPublicRouteOfADoorWithoutRequirements: a token is enough for all other requests, but needed.
func TestPublicRouteOfADoorWithoutRequirements(t *testing.T) {
	d := newDoor(t, "public GET /healthz")
	for request, want := range map[string]int{"GET /healthz": 200, "POST /healthz": 401, "GET /books": 401, "GET /HEALTHZ": 401} {
		method, path, _ := strings.Cut(request, " ")
		if got := d.ask(method, path, nil); got.status != want {
			t.Errorf("%s without a token: %d %s", request, got.status, got.body)
		}
		if got := d.ask(method, path, bearer(d.token(""))); got.status != http.StatusOK {
			t.Errorf("%s with a token: %d %s", request, got.status, got.body)
		}
	}
}

// TestPublicRequestsAreNoMatterOfThePolicy: a policy decides on tokens. Headers that only it may set are removed all the same.
func TestPublicRequestsAreNoMatterOfThePolicy(t *testing.T) {
	file := servertest.WriteFile(t, t.TempDir(), "request.rego", "package m2m.request\n\ndenied contains {\"reason\": \"closed\"}\n")
	d := newDoor(t, "require GET /books/{id} book:{id}:read\npublic GET /healthz\npolicy "+file+" {\ntimeout 20s\nupstream_header X-Route\n}")
	got := d.ask("GET", "/healthz", http.Header{"X_route": {"admin"}, "X-Route": {"admin"}})
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if seen := d.upstream.taken()[0].Header; len(identityIn(seen, "X-Route")) > 0 {
		t.Errorf("the upstream gets %v", seen)
	}
	if got := d.ask("GET", "/books/1", bearer(d.token("book:*:read"))); got.status != http.StatusForbidden {
		t.Errorf("another request: %d %s", got.status, got.body)
	}
}

// TestRespondBesideADoor: a handler of the site answers a public route, and no other request without a token.
func TestRespondBesideADoor(t *testing.T) {
	d := newDoorSite(t, doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\npublic GET /healthz\n}\nrespond /healthz alive\nrespond /ready alive\nreverse_proxy UPSTREAM"))
	for path, want := range map[string]string{"/healthz": "200 alive", "/ready": "401 ", "/books": "401 "} {
		if got := d.ask("GET", path, nil); !strings.HasPrefix(fmt.Sprintf("%d %s", got.status, got.body), want) {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}
