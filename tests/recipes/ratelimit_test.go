package recipes_test

import (
	"net/http"
	"testing"

	_ "github.com/mholt/caddy-ratelimit" // rate_limit
)

// TestRateLimit checks that each client has a share of its own, that requests without a token use up none of it, and that they have
// a limit of their own.
func TestRateLimit(t *testing.T) {
	r := newRecipe(t)
	r.run(block(t, "recipes.md", "## Rate limit by client", "caddyfile", 1))
	ci, web := bearer(r.token("ci-bot", "book:*:read")), bearer(r.token("web", "book:*:read"))
	for range 5 {
		ask(t, "GET", r.api+"/books/1").expect(t, "an anonymous request", http.StatusUnauthorized)
	}
	for range 5 {
		ask(t, "GET", r.api+"/books/1", "Authorization", ci).expect(t, "a client below its limit", http.StatusOK, "X-Client-Id: ci-bot")
	}
	ask(t, "GET", r.api+"/books/1", "Authorization", ci).expect(t, "a client at its limit", http.StatusTooManyRequests)
	ask(t, "GET", r.api+"/books/1", "Authorization", web).expect(t, "another client", http.StatusOK, "X-Client-Id: web")
	ask(t, "GET", r.api+"/books/1").expect(t, "an anonymous request", http.StatusUnauthorized)
}
