package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestTheFirstChallengeNamesTheScopes: a client that has no valid token learns which scopes to ask for (RFC 6750 §3).
func TestTheFirstChallengeNamesTheScopes(t *testing.T) {
	d := newDoor(t, "require GET /books/{id} book:{id}:read\nrequire PUT /books/{id} book:{id}:edit log:*:write\nrequire GET vault.example.com/keys/{key} vault:{key}:open")
	expired := d.issuer.Sign(d.issuer.Claims(doorAudience, "book:1:read", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), nil)
	for name, c := range map[string]struct {
		method, target, host, token, scope string
	}{
		"no token":          {"GET", "/books/1", "", "", "book:1:read"},
		"HEAD":              {"HEAD", "/books/1", "", "", "book:1:read"},
		"several scopes":    {"PUT", "/books/1", "", "", "book:1:edit log:*:write"},
		"a host":            {"GET", "/keys/1", "vault.example.com", "", "vault:1:open"},
		"an expired token":  {"GET", "/books/1", "", expired, "book:1:read"},
		"an escaped value":  {"GET", "/books/*", "", "", "book:%2A:read"},
		"no rule":           {"GET", "/elsewhere", "", "", ""},
		"a rule of another": {"POST", "/books/1", "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{}
			if c.token != "" {
				header.Set("Authorization", "Bearer "+c.token)
			}
			if c.host != "" {
				header.Set("Host", c.host)
			}
			got := d.ask(c.method, c.target, header)
			if got.status != http.StatusUnauthorized || got.member("scope") != c.scope && c.method != "HEAD" {
				t.Errorf("%d %s, want scope %s", got.status, got.body, c.scope)
			}
			if c.scope != "" && !strings.Contains(got.challenge(), `scope="`+c.scope+`"`) || c.scope == "" && strings.Contains(got.challenge(), "scope=") {
				t.Errorf("%s, want scope %s", got.challenge(), c.scope)
			}
			if c.token == "" && strings.Contains(got.challenge(), "error") { // RFC 6750 §3.1
				t.Errorf("%s has an error code", got.challenge())
			}
			if seen := d.upstream.taken(); len(seen) > 0 {
				t.Errorf("the upstream was asked %s", seen[0].URL)
			}
		})
	}
	if got := d.ask("PUT", "/books/1", bearer(d.token("book:1:edit log:*:write"))); got.status != http.StatusOK {
		t.Errorf("a token of the scopes that the challenge names: %d %s", got.status, got.body)
	}
}

// TestTokensThatAreBoundToAKeyAreRefused: a token with cnf of any form is not a bearer token.
func TestTokensThatAreBoundToAKeyAreRefused(t *testing.T) {
	const thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	d := newDoor(t, "require GET /books book:*:read")
	for name, test := range map[string]struct {
		cnf            any
		scheme, reason string
	}{
		"DPoP":               {map[string]any{"jkt": thumbprint}, "DPoP", "missing_proof"},
		"mutual TLS":         {map[string]any{"x5t#S256": thumbprint}, "Bearer", "missing_certificate"},
		"both":               {map[string]any{"jkt": thumbprint, "x5t#S256": thumbprint}, "DPoP", "missing_proof"},
		"a key":              {map[string]any{"jwk": map[string]any{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}}, "Bearer", "sender_constrained"},
		"an encrypted key":   {map[string]any{"jwe": "a.b.c.d.e"}, "Bearer", "sender_constrained"},
		"the ID of a key":    {map[string]any{"kid": "key-1"}, "Bearer", "sender_constrained"},
		"the URL of keys":    {map[string]any{"jku": "https://keys.example.com/jwks", "kid": "key-1"}, "Bearer", "sender_constrained"},
		"a thumbprint more":  {map[string]any{"jkt": thumbprint, "kid": "key-1"}, "Bearer", "sender_constrained"},
		"no thumbprint":      {map[string]any{"jkt": "a"}, "Bearer", "sender_constrained"},
		"a form of tomorrow": {map[string]any{"x": 1}, "Bearer", "sender_constrained"},
		"an empty object":    {map[string]any{}, "Bearer", "sender_constrained"},
		"a string":           {"key-1", "Bearer", "sender_constrained"},
		"a list":             {[]any{map[string]any{"jkt": thumbprint}}, "Bearer", "sender_constrained"},
		"false":              {false, "Bearer", "sender_constrained"},
	} {
		t.Run(name, func(t *testing.T) {
			bound := d.issuer.Sign(d.issuer.Claims(doorAudience, "book:*:read", map[string]any{"cnf": test.cnf}), nil)
			got := d.ask("GET", "/books", bearer(bound))
			if got.status != http.StatusUnauthorized || got.member("error") != "invalid_token" || got.reason() != test.reason {
				t.Errorf("%d %s", got.status, got.body)
			}
			if !strings.HasPrefix(got.challenge(), test.scheme+` error="invalid_token", error_description="the token is refused: `) {
				t.Errorf("challenge %q", got.challenge())
			}
			checkRefusal(t, d, got, bound)
		})
	}
}
