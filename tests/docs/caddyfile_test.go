package docs_test

import (
	"encoding/base64"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

var update = flag.Bool("update", false, "write Caddyfile blocks as caddy fmt does")

const (
	globalIssuer = "{\n\tm2m {\n\t\tissuer https://auth.example.com {\n\t\t\tpolicy /etc/policy /etc/door\n\t\t}\n\t}\n}\n"
	issuerSite   = "auth.example.com {\n\tm2m_issuer\n}\n"
)

// frames are what a block may stand in, the narrowest first: a block that a page shows is a whole Caddyfile or a part of one.
var frames = []struct{ name, before, after string }{
	{"a door", globalIssuer + issuerSite + "api.example.com {\n\tm2m_auth {\n", "\t}\n\treverse_proxy localhost:9\n}\n"},
	{"a door with an audience", globalIssuer + issuerSite + "api.example.com {\n\tm2m_auth {\n\t\taudience https://api.example.com\n", "\t}\n\treverse_proxy localhost:9\n}\n"},
	{"an issuer", "{\n\tm2m {\n\t\tissuer https://auth.example.com {\n", "\t\t}\n\t}\n}\n" + issuerSite},
	{"the option m2m", "{\n\tm2m {\n", "\t}\n}\n"},
	{"the global options", "{\n", "}\n"},
	{"a site", globalIssuer + issuerSite + "api.example.com {\n", "\treverse_proxy localhost:9\n}\n"},
	{"beside an issuer", globalIssuer + issuerSite, ""},
	{"a Caddyfile without the issuer's site", "", issuerSite},
	{"a Caddyfile", "", ""},
}

// TestCaddyfileBlocks: each Caddyfile block of a page, and each Caddyfile of the tree, is as `caddy fmt` writes it, and is
// valid by itself or inside one of the frames.
func TestCaddyfileBlocks(t *testing.T) {
	server := servertest.New(t)
	found := append(blocks(t, "caddyfile"), caddyfilesOfTheTree(t)...)
	if len(found) < 20 {
		t.Fatalf("found %d blocks; are they written as this test reads them?", len(found))
	}
	t.Chdir("../..") // paths in Caddyfiles are relative to the root of the repository
	for _, b := range found {
		checkFormat(t, b)
		if b.mark == "plugin" {
			continue
		}
		if err := validate(t, server, b.text); err != nil {
			t.Errorf("%s: %v", b, err)
		}
	}
}

func checkFormat(t *testing.T, b block) {
	t.Helper()
	formatted := strings.TrimSpace(string(caddyfile.Format([]byte(b.text)))) + "\n"
	if formatted == strings.TrimSpace(b.text)+"\n" {
		return
	}
	if !*update {
		t.Errorf("%s: caddy fmt writes it otherwise, as below; go test ./tests/docs -update does so too\n%s", b, formatted)
		return
	}
	page, err := os.ReadFile(b.page)
	if err == nil {
		err = os.WriteFile(b.page, []byte(strings.Replace(string(page), b.text, formatted, 1)), 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}

// validate returns nil if a block is valid in one of the frames.
func validate(t *testing.T, server *servertest.Server, text string) error {
	t.Helper()
	var all error
	for _, frame := range frames {
		before := len(server.LogLines("m2m"))
		err := server.Validate(withOwnFiles(t, frame.before+text+frame.after))
		if err == nil {
			return warnings(server.LogLines("m2m")[before:])
		}
		all = errors.Join(all, fmt.Errorf("as part of %s: %w", frame.name, err))
	}
	return all
}

// warnings returns an error if the log has a warning. A page must not show a config that can never work.
func warnings(lines []map[string]any) error {
	var all error
	for _, line := range lines {
		if line["level"] == "warn" {
			all = errors.Join(all, fmt.Errorf("it is valid, and Caddy warns: %s: %s %s", line["msg"], line["position"], line["problem"]))
		}
	}
	return all
}

func caddyfilesOfTheTree(t *testing.T) []block {
	t.Helper()
	var found []block
	for pattern, mark := range map[string]string{"Caddyfile*": "", "examples/*/Caddyfile": "", "examples/*/*.Caddyfile": "plugin"} {
		paths, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, block{page: strings.TrimPrefix(path, "../../"), line: 1, mark: mark, text: string(content)})
		}
	}
	return found
}

var (
	systemPath = regexp.MustCompile(`/(?:etc|srv|var|run)/[A-Za-z0-9_./-]*[A-Za-z0-9_-]`)
	variable   = regexp.MustCompile(`\{env\.([A-Z0-9_]+)\}`)
)

// withOwnFiles replaces the paths of a server by paths of files that exist, and sets the variables of the environment.
func withOwnFiles(t *testing.T, text string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range slices.Compact(slices.Sorted(slices.Values(systemPath.FindAllString(text, -1)))) {
		path := filepath.Join(root, name)
		if err := makeFile(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range variable.FindAllStringSubmatch(text, -1) {
		t.Setenv(name[1], aKey)
	}
	return systemPath.ReplaceAllStringFunc(text, func(name string) string { return filepath.Join(root, name) })
}

// aKey is 32 bytes in base64, which every secret of a config may be.
var aKey = base64.StdEncoding.EncodeToString([]byte("a key that only this test knows."))

const (
	aRegistry      = "resources:\n  book:\n    actions: {read: Read a book, edit: Change a book}\n  entry:\n    audience: https://ledger.example.com\n    actions: {read: Read an entry}\n"
	aTokenPolicy   = "package m2m.token\n\nclaims[\"env\"] := \"test\"\n"
	aRequestPolicy = "package m2m.request\n\ndenied contains {\"reason\": \"closed\"} if input.request.method == \"TRACE\"\n"
	aPolicyTest    = "package policy_test\n\ntest_nothing if true\n"
	aPublicKey     = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOUio2PoeKfo1VbSx8a1sjdkD94o8
4nEdJW1zzz5nZvD5HDBWyEvqDW93LB3ZRfaVLLcsGvGyHeiMPM2W5qvGUw==
-----END PUBLIC KEY-----
`
)

// makeFile creates what a path of a Caddyfile usually names, by its name: a registry, a key, a folder with a policy, or a secret.
func makeFile(path string) error {
	switch base := filepath.Base(path); {
	case strings.HasSuffix(base, ".yaml"):
		return writeFile(path, aRegistry)
	case strings.HasSuffix(base, ".crt"):
		return writeFile(path, aCertificate())
	case strings.HasSuffix(base, ".pem"):
		return writeFile(path, aPublicKey)
	case strings.Contains(base, "door"):
		return errors.Join(writeFile(path+"/request.rego", aRequestPolicy), writeFile(path+"/request_test.rego", aPolicyTest))
	case strings.Contains(base, "policy"):
		return errors.Join(writeFile(path+"/token.rego", aTokenPolicy), writeFile(path+"/token_test.rego", aPolicyTest))
	}
	return writeFile(path, aKey)
}

// aCertificate is that of a test server.
func aCertificate() string {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

func writeFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o600)
}
