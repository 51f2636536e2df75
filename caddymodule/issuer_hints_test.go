package caddymodule_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestNearMissesAreHinted: a request that was clearly meant for the issuer is 404 and names the right URL, with and without a
// 404 at the end of the site. Nothing of it is Caddy's empty 200.
func TestNearMissesAreHinted(t *testing.T) {
	w := newIssuerWorld(t, issuerSettings{url: servertest.FreeURL(t) + "/team"})
	host := strings.TrimSuffix(w.url, "/team")
	for _, end := range []string{"", "respond 404", "error 404", "respond /other ok"} {
		w.site = end
		if err := w.Load(w.caddyfile()); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]string{
			"/team/oauth2/token/":                           "the token endpoint is " + w.url + "/oauth2/token",
			"/team//oauth2/token":                           "the token endpoint is " + w.url + "/oauth2/token",
			"/team/OAuth2/Token":                            "the token endpoint is " + w.url + "/oauth2/token",
			"/oauth2/token":                                 "the token endpoint is " + w.url + "/oauth2/token",
			"/team/oauth/token":                             "the token endpoint is " + w.url + "/oauth2/token",
			"/team/protocol/openid-connect/token":           "the token endpoint is " + w.url + "/oauth2/token",
			"/team/oauth2/jwks/":                            "the key set is " + w.url + "/oauth2/jwks",
			"/.well-known/jwks.json":                        "the key set is " + w.url + "/oauth2/jwks",
			"/team/.well-known/jwks.json":                   "the key set is " + w.url + "/oauth2/jwks",
			"/team/oauth2/introspect/":                      "the introspection endpoint is " + w.url + "/oauth2/introspect",
			"/team/oauth2/revoke/":                          "the revocation endpoint is " + w.url + "/oauth2/revoke",
			"/team/oauth2/revocations/":                     "the feed of revocations is " + w.url + "/oauth2/revocations",
			"/.well-known/openid-configuration":             "the discovery document of OpenID Connect is " + w.url + "/.well-known/openid-configuration",
			"/.well-known/openid-configuration/team":        "the discovery document of OpenID Connect is " + w.url + "/.well-known/openid-configuration",
			"/team/.well-known/openid-configuration/":       "the discovery document of OpenID Connect is " + w.url + "/.well-known/openid-configuration",
			"/team//.well-known/openid-configuration":       "the discovery document of OpenID Connect is " + w.url + "/.well-known/openid-configuration",
			"/.well-known/oauth-authorization-server":       "the authorization server metadata is " + host + "/.well-known/oauth-authorization-server/team",
			"/team/.well-known/oauth-authorization-server":  "the authorization server metadata is " + host + "/.well-known/oauth-authorization-server/team",
			"/.well-known/oauth-authorization-server/team/": "the authorization server metadata is " + host + "/.well-known/oauth-authorization-server/team",
			"/.well-known/oauth-authorization-server/other": "",
			"/team":                "",
			"/":                    "",
			"/team/oauth2/token/x": "",
			"/team/.well-known/oauth-protected-resource":       "",
			"/.well-known/openid-configuration/../../etc/pass": "",
		} {
			for _, method := range []string{"GET", "POST"} {
				a := w.do(w.request(method, host+path, nil))
				got := strings.Contains(a.body, `"error":"invalid_request"`) && a.status == 404 && a.header.Get("Cache-Control") == "no-store"
				if got != (want != "") || !strings.Contains(a.body, want) {
					t.Errorf("%q: %s %s: %s, want %q", end, method, path, a, want)
				}
			}
		}
	}
	w.granted(w.ask("demo", "book:read"))
}

// TestHintsHideNothing: another handler of the site that has such a path answers as before. Only a request for a route of the
// issuer with other slashes does not reach it, because it may carry a secret.
func TestHintsHideNothing(t *testing.T) {
	asked := make(chan string, 100)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		switch r.URL.Query().Get("do") {
		case "missing":
			http.Error(w, "no such book", http.StatusNotFound)
		case "nothing":
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusNotFound)
		case "flush":
			w.WriteHeader(http.StatusNotFound)
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write([]byte("late"))
		case "empty":
		default:
			_, _ = w.Write([]byte("upstream"))
		}
	}))
	t.Cleanup(upstream.Close)
	w := startIssuer(t, issuerSettings{site: "handle_errors {\nrespond \"handled {err.status_code}\"\n}\nerror /oauth/token 404\nreverse_proxy " + upstream.URL})
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"/.well-known/jwks.json", "upstream", 200},
		{"/oauth/v2/token", "upstream", 200},
		{"/OAuth2/Token", "upstream", 200},
		{"/.well-known/jwks.json?do=missing", "no such book\n", 404},
		{"/.well-known/jwks.json?do=flush", "late", 404},
		{"/.well-known/jwks.json?do=empty", "", 200},
		{"/oauth/token", "handled 404", 404},
		{"/books?do=nothing", "", 404},
	} {
		a := w.get(w.url + c.path)
		if a.status != c.status || a.body != c.body {
			t.Errorf("%s: %s", c.path, a)
		}
	}
	a := w.get(w.url + "/.well-known/jwks.json?do=nothing")
	if a.status != 404 || !strings.Contains(a.body, "the key set is ") || a.header.Get("Content-Encoding") != "" {
		t.Errorf("an empty 404: %s", a)
	}
	for len(asked) > 0 {
		<-asked
	}
	for _, path := range []string{"/oauth2/token/", "//oauth2/token", "/oauth2//introspect", "/.well-known/openid-configuration/"} {
		if a := w.do(w.request("POST", w.url+path, strings.NewReader(w.form("demo", "book:read")), "Content-Type", formType)); a.status != 404 {
			t.Errorf("%s: %s", path, a)
		}
	}
	if len(asked) > 0 {
		t.Errorf("the upstream got %s", <-asked)
	}
}

// TestHintsOfTwoIssuers: an issuer does not answer for another one of the site.
func TestHintsOfTwoIssuers(t *testing.T) {
	w := newIssuerWorld(t, issuerSettings{})
	both := strings.Replace(w.caddyfile(), "m2m {\n", "m2m {\nissuer "+w.url+"/team\n", 1)
	for _, order := range []string{"m2m_issuer " + w.url + "/team\nm2m_issuer " + w.url, "m2m_issuer " + w.url + "\nm2m_issuer " + w.url + "/team"} {
		if err := w.Load(strings.Replace(both, "m2m_issuer\n", order+"\nrespond 404\n", 1)); err != nil {
			t.Fatal(err)
		}
		w.checkHintsOfTwo()
	}
}

func (w *issuerWorld) checkHintsOfTwo() {
	w.t.Helper()
	for path, want := range map[string]string{
		"/.well-known/openid-configuration":            `"issuer":"` + w.url + `"`,
		"/.well-known/oauth-authorization-server":      `"issuer":"` + w.url + `"`,
		"/.well-known/oauth-authorization-server/team": `"issuer":"` + w.url + `/team"`,
		"/team/.well-known/openid-configuration":       `"issuer":"` + w.url + `/team"`,
		"/.well-known/jwks.json":                       "the key set is " + w.url + "/oauth2/jwks",
		"/team/.well-known/jwks.json":                  "the key set is " + w.url + "/team/oauth2/jwks",
		"/oauth/token":                                 "the token endpoint is " + w.url + "/oauth2/token",
		"/team/oauth2/token/":                          "the token endpoint is " + w.url + "/team/oauth2/token",
		"/oauth2/token/":                               "the token endpoint is " + w.url + "/oauth2/token",
		"/oauth2/token":                                "the method must be POST",
	} {
		if a := w.get(w.url + path); !strings.Contains(a.body, want) {
			w.t.Errorf("%s: %s, want %s", path, a, want)
		}
	}
}
