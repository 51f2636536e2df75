package issuer

import (
	"fmt"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// TestExcludedSecrets: either way to send a secret is enough for a client that has one.
func TestExcludedSecrets(t *testing.T) {
	client := &registry.Client{ID: "c", Secrets: []registry.Secret{{ID: "s1"}}}
	for method, want := range map[string]string{
		"": "[]", oauth.ClientSecretBasic: "[]", oauth.ClientSecretPost: "[]", oauth.PrivateKeyJWT: "[client_secret]",
	} {
		s := &Server{}
		if method != "" {
			s.AuthMethods = []string{method}
		}
		if got := fmt.Sprint(s.Excluded(client)); got != want {
			t.Errorf("%q: %s, want %s", method, got, want)
		}
	}
}
