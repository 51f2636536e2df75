package recipes_test

import (
	"net/http"
	"strings"
	"testing"

	_ "github.com/mholt/caddy-ratelimit" // rate_limit
)

// TestRateLimit checks that each client has a share of its own, and that requests without a token use up none of it.
func TestRateLimit(t *testing.T) {
	r := newRecipe(t)
	r.run(block(t, "recipes.md", "## Rate limit by client", "caddyfile", 1))
	for range 5 {
		ask(t, "GET", r.api+"/books/1").expect(t, "an anonymous request", http.StatusUnauthorized)
	}
	r.limits(bearer(r.token("ci-bot", "book:*:read")), bearer(r.token("web", "book:*:read")))
	ask(t, "GET", r.api+"/books/1").expect(t, "an anonymous request", http.StatusUnauthorized)
}

// TestRateLimitInTheWrongOrder checks that Caddy warns of the default order, in which five requests without a token block a client.
func TestRateLimitInTheWrongOrder(t *testing.T) {
	r := newRecipe(t)
	const order = "{\n\torder rate_limit after m2m_auth\n}\n"
	r.run(strings.Replace(block(t, "recipes.md", "## Rate limit by client", "caddyfile", 1), order, "", 1))
	for range 5 {
		ask(t, "GET", r.api+"/books/1").expect(t, "an anonymous request", http.StatusUnauthorized)
	}
	client := bearer(r.token("ci-bot", "book:*:read"))
	ask(t, "GET", r.api+"/books/1", "Authorization", client).expect(t, "a client", http.StatusTooManyRequests)
	if !strings.Contains(r.Log(), "rate_limit runs before this m2m_auth and reads {http.auth.user.issuer}, which is empty there for every client; add `order rate_limit after m2m_auth`") {
		t.Errorf("no warning in %v", r.LogLines("m2m"))
	}
}

// limits checks that one client may send five requests, and that another one then still may.
func (r *recipe) limits(one, another string) {
	r.t.Helper()
	for range 5 {
		ask(r.t, "GET", r.api+"/books/1", "Authorization", one).expect(r.t, "a client below its limit", http.StatusOK, "X-Client-Id: ")
	}
	ask(r.t, "GET", r.api+"/books/1", "Authorization", one).expect(r.t, "a client at its limit", http.StatusTooManyRequests)
	ask(r.t, "GET", r.api+"/books/1", "Authorization", another).expect(r.t, "another client", http.StatusOK, "X-Client-Id: ")
}

// TestRateLimitByAddress also limits requests without a token, and token requests, by their address.
func TestRateLimitByAddress(t *testing.T) {
	r := newRecipe(t)
	r.runIssuer(block(t, "recipes.md", "## Rate limit by client", "caddyfile", 2), "")
	one, another := r.ask("ci-bot", ""), r.ask("web", "")
	r.limits(bearer(one.Token), bearer(another.Token)) // seven requests
	for range 13 {
		ask(t, "GET", r.api+"/books/1").expect(t, "an anonymous request", http.StatusUnauthorized)
	}
	ask(t, "GET", r.api+"/books/1").expect(t, "an address at its limit", http.StatusTooManyRequests)
	for range 3 {
		r.ask("ci-bot", "")
	}
	if got := r.ask("ci-bot", ""); got.status != http.StatusTooManyRequests {
		t.Errorf("a token request of an address at its limit: %d", got.status)
	}
	ask(t, "GET", r.sites["auth.example.com"]+"/oauth2/jwks").expect(t, "the keys have no limit", http.StatusOK)
}
