package interop_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// signEdDSA starts the server again with another signing_alg for its first issuer, as an operator
// changes it. The tokens that the former key signed are valid until they end.
func (s *server) signEdDSA(t *testing.T) {
	t.Helper()
	s.Change = servertest.QuickKeys(0)
	if err := s.Restart(strings.Replace(s.caddyfile(), "signing_alg ES256", "signing_alg EdDSA", 1)); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	servertest.Eventually(t, "the new key signs", func() bool {
		signed, _, err := jwt.NewParser().ParseUnverified(s.token(t, "", "book:*:read"), jwt.MapClaims{})
		return err == nil && signed.Header["alg"] == "EdDSA"
	})
}

// TestKeyfuncFindsKeyOfNewAlgorithm has a verifier that goes on meanwhile: it meets an unknown kid
// and fetches the keys again.
func TestKeyfuncFindsKeyOfNewAlgorithm(t *testing.T) {
	s := newServer(t)
	keys, former := s.keys(t, ""), s.token(t, "", "book:*:read")
	s.signEdDSA(t)
	for alg, raw := range map[string]string{"EdDSA": s.token(t, "", "book:*:read"), "ES256": former} {
		if _, err := jwt.ParseWithClaims(raw, new(accessClaims), keys, s.options("", alg)...); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

// TestGoOIDCVerifiesFormerAlgorithm discovers the issuer after the change: go-oidc takes only the
// algorithms that discovery names.
func TestGoOIDCVerifiesFormerAlgorithm(t *testing.T) {
	s := newServer(t)
	former := s.token(t, "", "book:*:read")
	s.signEdDSA(t)
	verifier := s.provider(t, "").Verifier(&oidc.Config{ClientID: s.api})
	for alg, raw := range map[string]string{"EdDSA": s.token(t, "", "book:*:read"), "ES256": former} {
		if _, err := verifier.Verify(t.Context(), raw); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}
