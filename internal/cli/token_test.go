package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTokenShowsNoControlCharacters: an issuer elsewhere does not get to write to the terminal.
func TestTokenShowsNoControlCharacters(t *testing.T) {
	const evil = "\x1b[2J\r\nok"
	for name, test := range map[string]struct {
		status int
		answer any
		shown  string
	}{
		"scopes":        {http.StatusOK, map[string]any{"access_token": "abc", "token_type": "Bearer", "expires_in": 60, "scope": "a" + evil, "rejected_scope": "b" + evil}, `"b\x1b[2J\r\nok"`},
		"a token":       {http.StatusOK, map[string]any{"access_token": "abc" + evil, "token_type": "Bearer", "expires_in": 60}, "not a token"},
		"an error":      {http.StatusUnauthorized, map[string]any{"error": "a" + evil, "error_description": "b" + evil, "rejected_scope": "c" + evil}, `"c\x1b[2J\r\nok"`},
		"not an answer": {http.StatusUnauthorized, evil, "asking for a token"},
	} {
		var issuer *httptest.Server
		issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if strings.Contains(r.URL.Path, "well-known") {
				_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer.URL, "token_endpoint": issuer.URL + "/token", "jwks_uri": issuer.URL + "/jwks"})
				return
			}
			w.WriteHeader(test.status)
			_ = json.NewEncoder(w).Encode(test.answer)
		}))
		defer issuer.Close()
		var out, log bytes.Buffer
		flags := &tokenFlags{issuer: issuer.URL, envFile: filepath.Join(t.TempDir(), "env")}
		if err := os.WriteFile(flags.envFile, []byte("CLIENT_ID=a\nCLIENT_SECRET=b\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		shown := ""
		if err := flags.run(t.Context(), &out, &log, nil); err != nil {
			shown = err.Error()
		}
		shown += out.String() + log.String()
		if strings.ContainsAny(shown, "\x1b\r") || !strings.Contains(shown, test.shown) {
			t.Errorf("%s: it says %q", name, shown)
		}
	}
}
