package recipes_test

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestPublicHealthCheck asks without a token, and tries to get further with it.
func TestPublicHealthCheck(t *testing.T) {
	r := newRecipe(t)
	r.run(block(t, "recipes.md", "## Public health check", "caddyfile", 1))
	got := ask(t, "GET", r.api+"/healthz", "X-Client-Id", "admin", "Authorization", "Bearer x")
	got.expect(t, "the health check", http.StatusOK, "GET /healthz")
	got.without(t, "the health check", "admin", "Authorization")
	ask(t, "POST", r.api+"/healthz").expect(t, "another method", http.StatusUnauthorized)
	ask(t, "GET", r.api+"/healthz/..;/books/1").expect(t, "another path", http.StatusBadRequest)
	ask(t, "GET", r.api+"/books/1").expect(t, "a book", http.StatusUnauthorized)
	ask(t, "GET", r.api+"/books/1", "Authorization", bearer(r.token("ci-bot", "book:1:read"))).expect(t, "a book with a token", http.StatusOK)
}

// TestMetrics scrapes what requests have counted.
func TestMetrics(t *testing.T) {
	r := newRecipe(t)
	url := servertest.FreeURL(t)
	r.run(strings.ReplaceAll(block(t, "recipes.md", "## Metrics", "caddyfile", 1), ":9180", url[strings.LastIndex(url, ":"):]))
	ask(t, "GET", r.api+"/books/1").expect(t, "no token", http.StatusUnauthorized)
	ask(t, "GET", r.api+"/books/1", "Authorization", bearer(r.token("ci-bot", "book:1:read"))).expect(t, "a token", http.StatusOK)
	ask(t, "GET", url).expect(t, "the metrics", http.StatusOK,
		`caddy_m2m_auth_requests_total{issuer="`+r.issuer.URL+`",result="allowed"} 1`,
		`caddy_m2m_auth_requests_total{issuer="`+r.issuer.URL+`",result="missing_token"} 1`)
}

// TestAccessLog reads the lines of a request that was let through and of one that was refused.
func TestAccessLog(t *testing.T) {
	r := newRecipe(t)
	r.run(block(t, "recipes.md", "## Access log with the client", "caddyfile", 1))
	claims := r.issuer.Claims(r.api, "book:1:read", map[string]any{"client_id": "ci-bot", "team": "catalogue"})
	ask(t, "GET", r.api+"/books/1", "Authorization", bearer(r.issuer.Sign(claims, nil))).expect(t, "a token", http.StatusOK)
	ask(t, "GET", r.api+"/books/2").expect(t, "no token", http.StatusUnauthorized)
	lines := make(map[string]map[string]any)
	servertest.Eventually(t, "two lines are in the log", func() bool {
		content, _ := os.ReadFile(r.dir + "/api.json")
		for text := range strings.Lines(string(content)) {
			line := make(map[string]any)
			if json.Unmarshal([]byte(text), &line) == nil {
				lines[line["request"].(map[string]any)["uri"].(string)] = line
			}
		}
		return len(lines) == 2
	})
	if line := lines["/books/1"]; line["m2m_client_id"] != "ci-bot" || line["m2m_jti"] != claims["jti"] || line["team"] != "catalogue" {
		t.Errorf("let through: %v", line)
	}
	if line := lines["/books/2"]; line["m2m_refused"] != "missing_token" || line["m2m_client_id"] != nil {
		t.Errorf("refused: %v", line)
	}
}

// TestTokenInACookie sends what a browser sends, for its own page and for a page of another site.
func TestTokenInACookie(t *testing.T) {
	r := newRecipe(t)
	r.run(block(t, "recipes.md", "## A token in a cookie", "caddyfile", 1))
	good, other := r.token("app", "book:1:read"), r.token("other", "book:2:read")
	cookie := "theme=dark; __Host-access_token=" + good
	got := ask(t, "GET", r.api+"/books/1", "Cookie", cookie, "Origin", "https://app.example.com", "X-Client-Id", "admin")
	got.expect(t, "a cookie", http.StatusOK, "X-Client-Id: app")
	got.without(t, "a cookie", good, "Cookie", "Authorization", "admin")
	ask(t, "GET", r.api+"/books/1", "Cookie", cookie).expect(t, "without an origin", http.StatusOK)
	ask(t, "GET", r.api+"/books/2", "Cookie", cookie).expect(t, "another book", http.StatusForbidden)
	ask(t, "GET", r.api+"/books/1", "Cookie", cookie, "Origin", "https://evil.example").expect(t, "another site", http.StatusForbidden)
	ask(t, "GET", r.api+"/books/1", "Cookie", cookie, "Origin", "null").expect(t, "an opaque origin", http.StatusForbidden)
	ask(t, "GET", r.api+"/books/1", "Cookie", cookie, "Authorization", bearer(other)).expect(t, "the header wins", http.StatusForbidden)
	ask(t, "GET", r.api+"/books/1", "Cookie", "theme=dark").expect(t, "no token", http.StatusUnauthorized)
	ask(t, "GET", r.api+"/books/1", "Cookie", "x__Host-access_token="+good).expect(t, "another name", http.StatusUnauthorized)
	ask(t, "GET", r.api+"/books/2", "Cookie", "__Host-access_token="+good+"; __Host-access_token="+other).expect(t, "two cookies", http.StatusForbidden)
	ask(t, "GET", r.api+"/books/1", "Cookie", "__Host-access_token={env.HOME}").expect(t, "a placeholder", http.StatusBadRequest).without(t, "a placeholder", os.Getenv("HOME"))
	if log := r.Log(); strings.Contains(log, good) {
		t.Error("the token is in the log")
	}
}

// TestPrivateCA runs the issuer and the upstream with a certificate that the system does not trust.
func TestPrivateCA(t *testing.T) {
	r := newRecipe(t)
	issuer, upstream := httptest.NewTLSServer(r.issuer), httptest.NewTLSServer(http.HandlerFunc(echo))
	t.Cleanup(issuer.Close)
	t.Cleanup(upstream.Close)
	r.issuer.URL, r.sites["auth.example.com"], r.upstream = issuer.URL, issuer.URL, strings.TrimPrefix(upstream.URL, "https://")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issuer.Certificate().Raw})
	servertest.WriteFile(t, r.dir, "ca.crt", string(ca))
	caddyfile := block(t, "recipes.md", "## A private CA", "caddyfile", 1)
	token := bearer(r.token("ci-bot", "book:1:read"))

	r.run(strings.Replace(caddyfile, "ca /etc/caddy/ca.crt", "", 1))
	ask(t, "GET", r.api+"/books/1", "Authorization", token).expect(t, "without ca", http.StatusServiceUnavailable, "no_keys")
	if !strings.Contains(r.Log(), "certificate signed by unknown authority") {
		t.Error("the log does not have the cause")
	}
	r.run(caddyfile)
	ask(t, "GET", r.api+"/books/1", "Authorization", token).expect(t, "with ca", http.StatusOK, "X-Client-Id: ci-bot")
}
