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
	for _, file := range []string{"README.md", "schemas/token/input.json", "schemas/request/input.json", ".regal/config.yaml", ".vscode/settings.json", ".editorconfig"} {
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
