package caddymodule_test

import (
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestUnusedCredentialsAreReported: a credential that auth leaves without effect is a warning on load, and after an edit.
func TestUnusedCredentialsAreReported(t *testing.T) {
	client := "clients:\n  ci-bot:\n    auth: tls_client_auth\n    tls_client_auth_san_dns: ci.example.com\n"
	w := startIssuer(t, issuerSettings{registry: client})
	const warning = "a client has credentials that its auth does not allow"
	if strings.Contains(w.Log(), warning) {
		t.Fatal("a client without a credential too many is reported")
	}
	w.writeRegistry(client + "    secrets: [{id: s1, sha256: HASH}]\n")
	servertest.Eventually(t, "the edit is reported", func() bool { return strings.Contains(w.Log(), warning) })
}
