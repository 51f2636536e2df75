package registry

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestExcludedClients(t *testing.T) {
	secret := ", secrets: [{id: s1, sha256: " + hashOf(1) + "}]"
	keys := ", jwks: {keys: [" + keyEC + "]}"
	takes := func(methods string) func(string) bool {
		return func(method string) bool { return slices.Contains(strings.Fields(methods), method) }
	}
	for _, c := range []struct{ body, takes, want string }{
		{"description: x" + secret, "private_key_jwt", "client_secret"},
		{"description: x" + secret + keys, "private_key_jwt", ""},
		{"auth: client_secret" + secret + keys, "private_key_jwt", "client_secret"},
		{"description: x" + keys, "self_signed_tls_client_auth", ""},
		{"description: x" + keys, "client_secret", "private_key_jwt self_signed_tls_client_auth"},
		{"description: x", "private_key_jwt", ""}, // it has nothing to exclude
	} {
		client := mustParse(t, "r.yaml", inClient(c.body)).clients["c"]
		if got := strings.Join(client.Excluded(takes(c.takes)), " "); got != c.want {
			t.Errorf("%.40s with %s: %q; want %q", c.body, c.takes, got, c.want)
		}
	}
}

// TestExcludedIDsAreBounded: the log names ten of many.
func TestExcludedIDsAreBounded(t *testing.T) {
	file := "clients:\n"
	for n := range 30 {
		file += fmt.Sprintf("  c%02d: {secrets: [{id: s1, sha256: %s}]}\n", n, hashOf(n))
	}
	s := mustParse(t, "r.yaml", file)
	ids, count := s.Excluded(func(string) bool { return false })
	if count != 30 || len(ids) != 10 || ids[0] != "c00" || ids[9] != "c09" {
		t.Errorf("%d: %v", count, ids)
	}
}
