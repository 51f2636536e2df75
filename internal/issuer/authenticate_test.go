package issuer

import (
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/file"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

// TestUsedSecretIsNoted: of several secrets the one that a client used, and none that was refused.
func TestUsedSecretIsNoted(t *testing.T) {
	first, second, lapsed := registry.NewSecret(), registry.NewSecret(), registry.NewSecret()
	path := filepath.Join(t.TempDir(), "registry.json")
	err := os.WriteFile(path, []byte(`{"clients": {"c": {"secrets": [
		{"id": "s1", "sha256": "`+registry.HashSecret(first)+`"},
		{"id": "s2", "sha256": "`+registry.HashSecret(second)+`"},
		{"id": "s3", "sha256": "`+registry.HashSecret(lapsed)+`", "expires": "2020-01-01T00:00:00Z"}]}}}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	file, err := file.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	usage := store.NewUsage(&certmagic.FileStorage{Path: t.TempDir()}, "usage")
	start := time.Date(2026, 1, 1, 12, 30, 0, 0, time.UTC)
	for _, secret := range []string{second, lapsed, registry.NewSecret(), ""} {
		server := testServer(t)
		server.Registry, server.Usage = file, usage
		request := &call{issuer: server, start: start, http: httptest.NewRequest("POST", "/oauth2/token", nil)}
		fault := func(doing string, err error) *oauth.Error {
			t.Errorf("%s: %v", doing, err)
			return nil
		}
		if err := request.authenticate(t.Context(), oauth.Credentials{ClientID: "c", Secret: secret, Method: oauth.ClientSecretPost}, fault); (err == nil) != (secret == second) {
			t.Errorf("authenticating: %v", err)
		}
	}
	used, err := usage.LastUsed(t.Context(), "c")
	if err != nil || !slices.Equal(slices.Collect(maps.Keys(used)), []string{"s2"}) || !used["s2"].Equal(start) {
		t.Errorf("used are %v, %v", used, err)
	}
}
