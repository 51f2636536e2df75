package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// TestStarterIsWhole loads the starter as a server would, with its tests.
func TestStarterIsWhole(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new", "policy")
	if err := initFolder(folder); err != nil {
		t.Fatal(err)
	}
	engine, err := policy.Load(policy.Config{Paths: []string{filepath.Join(folder, "policy")}, Verify: true})
	if err != nil {
		t.Fatal(err)
	}
	engine.Close()
	if err := engine.RequireRequests(); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(filepath.Join(folder, "registry.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Parse("registry.yaml", data); err != nil {
		t.Error(err)
	}
	for _, file := range []string{
		"README.md", "schemas/token/input.json", "schemas/request/input.json", "schemas/identity/input.json", ".regal/config.yaml", ".vscode/settings.json", ".vscode/extensions.json", ".editorconfig",
		"policy/.m2m/contract.rego", "policy/.m2m/token.rego", "policy/identity.rego", "policy/.m2m/identity.rego",
	} {
		if info, err := os.Stat(filepath.Join(folder, file)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", file, err)
		}
	}
	if err := initFolder(folder); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("once more: %v", err)
	}
}

func TestStarterNeedsAFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := initFolder(file); err == nil {
		t.Error("a file is taken for a folder")
	}
}

// TestLibraryIsWritten into a policy that exists, and again after an update.
func TestLibraryIsWritten(t *testing.T) {
	folder := t.TempDir()
	old := filepath.Join(folder, ".m2m", "contract.rego")
	for range 2 {
		cmd := initCommand()
		cmd.SetArgs([]string{"--library", folder})
		if err := cmd.Execute(); err != nil {
			t.Fatal(err)
		}
		written, err := os.ReadFile(old)
		if err != nil || !strings.Contains(string(written), `"properties":{"issuer":`) || strings.Contains(string(written), "schema.token.input") {
			t.Fatalf("%s, %v", written, err)
		}
		if err := os.WriteFile(old, []byte("package old\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := initCommand()
	cmd.SetArgs([]string{"--library", filepath.Join(folder, "missing")})
	if err := cmd.Execute(); err == nil {
		t.Error("a folder that does not exist is made")
	}
}
