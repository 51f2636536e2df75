package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// TestBoundTokenFromIssuerToDoor: a client gets a token with a proof, introspects it, uses it at a door with proofs, also from the
// memory of tokens that were signed here, and revokes it.
func TestBoundTokenFromIssuerToDoor(t *testing.T) {
	w := startIssuer(t, issuerSettings{registry: dpopRegistry, site: "m2m_auth /books/* {\nbound dpop\nrequire GET /books/{id} book:{id}:read\n}\nrespond /books/* ok"})
	p := newProver(t)
	issued := w.post(w.form("demo", "book:*:read"), "DPoP", p.proof("POST", w.tokenURL()))
	p.boundTo(issued)
	raw, door := *issued.AccessToken, w.url+"/books/1"
	use := func(scheme string, proofs ...string) tokenAnswer {
		header := []string{"Authorization", scheme + " " + raw}
		for _, proof := range proofs {
			header = append(header, "DPoP", proof)
		}
		return w.get(door, header...)
	}
	for range 3 {
		if got := use("DPoP", proofFor(t, p.key, door, raw)); got.status != http.StatusOK {
			t.Errorf("with a proof: %s", got)
		}
		if got := use("Bearer"); got.status != http.StatusUnauthorized || !strings.Contains(got.body, "missing_proof") {
			t.Errorf("as a bearer token: %s", got)
		}
		if got := use("DPoP", proofFor(t, newProver(t).key, door, raw)); got.status != http.StatusUnauthorized || !strings.Contains(got.body, "wrong_key") {
			t.Errorf("with another key: %s", got)
		}
	}
	plain := w.ask("demo", "book:*:read")
	w.granted(plain)
	if got := w.get(door, "Authorization", "Bearer "+*plain.AccessToken); got.status != http.StatusUnauthorized || !strings.Contains(got.body, "not_bound") {
		t.Errorf("a plain token: %s", got)
	}

	cnf := `"cnf":{"jkt":"` + p.key.ID() + `"}`
	if got := w.about("introspect", "demo", raw); !strings.Contains(got.body, `"active":true`) || !strings.Contains(got.body, cnf) || got.TokenType != "DPoP" {
		t.Errorf("introspection: %s", got)
	}
	signed := w.about("introspect", "demo", raw, "Accept", "application/"+token.IntrospectionType)
	members, _ := w.parsedIntrospection(signed.body).Claims.(jwt.MapClaims)["token_introspection"].(map[string]any)
	bound, _ := members["cnf"].(map[string]any)
	if members["token_type"] != "DPoP" || bound["jkt"] != p.key.ID() {
		t.Errorf("signed introspection: %v", members)
	}
	if got := w.about("introspect", "demo", *plain.AccessToken); strings.Contains(got.body, "cnf") || got.TokenType != "Bearer" {
		t.Errorf("introspection of a plain token: %s", got)
	}
	w.revoke("demo", raw)
	if got := w.about("introspect", "demo", raw); got.body != inactive {
		t.Errorf("introspection of a revoked token: %s", got)
	}
	if got := use("DPoP", proofFor(t, p.key, door, raw)); got.status != http.StatusUnauthorized || !strings.Contains(got.body, `"revoked"`) {
		t.Errorf("a revoked token: %s", got)
	}
}
