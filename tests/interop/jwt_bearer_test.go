package interop_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	oauth2jwt "golang.org/x/oauth2/jwt"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// federation is an issuer that trusts a platform, whose subject importer@example.com is the client "importer", and a door.
type federation struct {
	*platform
	issuer, api string
}

func startFederation(t *testing.T) *federation {
	t.Helper()
	f := &federation{startPlatform(t, "", map[string]string{"/jwks": "KEYS"}), servertest.FreeURL(t), servertest.FreeURL(t)}
	registryFile := servertest.WriteFile(t, t.TempDir(), "registry.yaml", fmt.Sprintf(`resources:
  book:
    actions: {read: Read a book}
clients:
  importer:
    identities: [{issuer: %s, subject: importer@example.com}]
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
`, f.URL))
	servertest.Start(t, fmt.Sprintf(`{
	m2m {
		issuer %s {
			audience %s
			registry file %s
			policy ../../docs/cookbook/granted-defaults
			trust %s {
				jwks_uri %[4]s/jwks
				ca %s
			}
		}
	}
}
%[1]s {
	m2m_issuer
}
%[2]s {
	m2m_auth {
		require GET /books/{id} book:{id}:read
	}
	respond {http.request.header.X-Client-Id}
}
`, f.issuer, f.api, registryFile, f.URL, f.ca))
	return f
}

// opens calls the API as a program does.
func (f *federation) opens(t *testing.T, program *http.Client) {
	t.Helper()
	response := send(t, program, http.MethodGet, f.api+"/books/1")
	if body := servertest.Body(t, response); response.StatusCode != http.StatusOK || body != "importer" {
		t.Fatalf("the door answers %d %q", response.StatusCode, body)
	}
}

// TestOAuth2JWT uses golang.org/x/oauth2/jwt, which sends an assertion of an issuer as the grant (RFC 7523 §2.1), without
// jti, without a scope in the form, and valid for an hour.
func TestOAuth2JWT(t *testing.T) {
	f := startFederation(t)
	config := oauth2jwt.Config{
		Email: f.URL, Subject: "importer@example.com", Audience: f.issuer, TokenURL: f.issuer + "/oauth2/token", PrivateKeyID: "platform-1",
		PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(f.key)}),
	}
	f.opens(t, config.Client(t.Context()))
	token, err := config.TokenSource(t.Context()).Token()
	if err != nil {
		t.Fatal(err)
	}
	wantExtra(t, token, "scope", "book:*:read")
	for name, change := range map[string]func(*oauth2jwt.Config){
		"another audience": func(c *oauth2jwt.Config) { c.Audience = "https://other.example.com" },
		"another subject":  func(c *oauth2jwt.Config) { c.Subject = "other@example.com" },
		"no subject":       func(c *oauth2jwt.Config) { c.Subject = "" },
		"another issuer":   func(c *oauth2jwt.Config) { c.Email = "https://other.example.com" },
		"two days":         func(c *oauth2jwt.Config) { c.Expires = 48 * time.Hour },
	} {
		changed := config
		change(&changed)
		_, err := changed.TokenSource(t.Context()).Token()
		var refused *oauth2.RetrieveError
		if !errors.As(err, &refused) || !strings.Contains(string(refused.Body), `"invalid_grant"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
