package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/assertion"
)

// TestTokenWithAKey: the command sends an assertion for the issuer alone, and no secret.
func TestTokenWithAKey(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ci-bot.key")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	asked := 0
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(r.URL.Path, "well-known") {
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer.URL, "token_endpoint": issuer.URL + "/token", "jwks_uri": issuer.URL + "/jwks"})
			return
		}
		asked++
		opened, err := assertion.Open(r.PostFormValue("client_assertion"))
		if err == nil {
			err = opened.Check(assertion.Expect{Audiences: []string{issuer.URL}, Now: time.Now()})
		}
		if err != nil || opened.Issuer() != "ci-bot" || opened.Subject() != "ci-bot" || opened.KeyID() == "" {
			t.Errorf("the assertion: %v", err)
		}
		if r.Header.Get("Authorization") != "" || r.PostForm.Has("client_secret") || r.PostFormValue("client_assertion_type") != assertionType || r.PostFormValue("resource") != "urn:a:b" {
			t.Errorf("the form has %d parameters", len(r.PostForm))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "abc", "token_type": "Bearer", "expires_in": 60, "scope": "book:*:read"})
	}))
	defer issuer.Close()
	t.Setenv("CLIENT_ID", "ci-bot")
	var out, log bytes.Buffer
	flags := &tokenFlags{issuer: issuer.URL, keyFile: path, resources: []string{"urn:a:b"}}
	if err := flags.run(t.Context(), &out, &log, []string{"book:*:read"}); err != nil || out.String() != "abc\n" || asked != 1 {
		t.Errorf("it prints %q, %v, after %d requests", &out, err, asked)
	}
	flags.secretFile = path
	if err := flags.run(t.Context(), &out, &log, nil); err == nil || !strings.Contains(err.Error(), "exclude each other") {
		t.Errorf("with a secret: %v", err)
	}
	flags.secretFile, flags.keyFile = "", filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(flags.keyFile, []byte("my key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := flags.run(t.Context(), &out, &log, nil); err == nil || !strings.Contains(err.Error(), "neither a private key") || strings.Contains(err.Error(), "my key") {
		t.Errorf("a key that is not one: %v", err)
	}
}
