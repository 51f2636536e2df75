package caddymodule_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// bundleKey signs the bundles of tests (HS256), and bundleToken opens their server.
const (
	bundleKey   = "hunter2-hunter2-hunter2-hunter2-"
	bundleToken = "hunter3-hunter3"
)

// signedBundle is a bundle that is signed with a key. Its manifest has one member, for OPA signs JSON by its
// content.
func signedBundle(t testing.TB, key, revision string, files map[string]string) string {
	t.Helper()
	files = maps.Clone(files)
	files[".manifest"] = fmt.Sprintf(`{"revision":%q}`, revision)
	var infos []map[string]string
	for name, content := range files {
		sum := sha256.Sum256([]byte(content))
		infos = append(infos, map[string]string{"name": name, "hash": hex.EncodeToString(sum[:]), "algorithm": "SHA-256"})
	}
	unsigned := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"files": infos})
	unsigned.Header["kid"] = "ci"
	signed, err := unsigned.SignedString([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	signatures, err := json.Marshal(map[string][]string{"signatures": {signed}})
	if err != nil {
		t.Fatal(err)
	}
	files[".signatures.json"] = string(signatures)
	return bundleOf(t, files)
}

// bundleOf is a bundle that is not signed.
func bundleOf(t testing.TB, files map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	w := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Name: "/" + name, Mode: 0o600, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// ttlPolicy is a policy by whose lifetime one knows it.
func ttlPolicy(seconds int) map[string]string {
	return map[string]string{"ttl.rego": fmt.Sprintf("package m2m.token\n\nttl contains %d\n", seconds)}
}

// bundleWorld is an issuer whose policy is served by the very Caddy that it runs in.
type bundleWorld struct {
	*issuerWorld
	www string
}

func newBundleWorld(t *testing.T) *bundleWorld {
	t.Helper()
	t.Setenv("BUNDLE_KEY", bundleKey)
	t.Setenv("BUNDLE_TOKEN", bundleToken)
	w := &bundleWorld{www: t.TempDir()}
	url := servertest.FreeURL(t)
	w.issuerWorld = newIssuerWorld(t, issuerSettings{
		url: url,
		policyOptions: "timeout 20s\nbundle " + url + `/bundles/m2m.tar.gz?tenant=1 {
				key ci {env.BUNDLE_KEY} HS256
				header Authorization "Bearer {env.BUNDLE_TOKEN}"
				poll 1s 1s
			}`,
		site: `@allowed header Authorization "Bearer {env.BUNDLE_TOKEN}"
			handle_path /bundles/* {
				root ` + w.www + `
				file_server @allowed
			}`,
	})
	w.Admin = strings.TrimPrefix(servertest.FreeURL(t), "http://")
	return w
}

func (w *bundleWorld) publish(bundle string) {
	w.t.Helper()
	servertest.ReplaceFile(w.t, w.www, "m2m.tar.gz", bundle)
}

// lifetime is that of a token now, which is at once.
func (w *bundleWorld) lifetime() int {
	w.t.Helper()
	a := w.ask("demo", "book:read")
	w.granted(a)
	return a.ExpiresIn
}

func (w *bundleWorld) awaitLifetime(seconds int) {
	w.t.Helper()
	servertest.Eventually(w.t, fmt.Sprintf("tokens are for %d seconds", seconds), func() bool {
		a := w.ask("demo", "book:read")
		return a.status == http.StatusOK && a.ExpiresIn == seconds
	})
}

// status is what the admin API says of the policy.
func (w *bundleWorld) status() map[string]any {
	w.t.Helper()
	api := adminWorld{Server: w.Server, t: w.t.(*testing.T), admin: "http://" + w.Admin}
	answer := api.want(http.StatusOK, http.MethodGet, "/m2m/status", "")
	var status struct {
		Issuers []struct {
			Policy map[string]any `json:"policy"`
		} `json:"issuers"`
	}
	if err := json.Unmarshal(answer.body, &status); err != nil || len(status.Issuers) != 1 {
		w.t.Fatalf("status %s, %v", answer.body, err)
	}
	return status.Issuers[0].Policy
}

// kept are the bundles in storage.
func (w *bundleWorld) kept() []string {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.Storage, "m2m", "*", "policy", "bundle"))
	if err != nil {
		w.t.Fatal(err)
	}
	return files
}
