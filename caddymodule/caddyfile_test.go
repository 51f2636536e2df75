package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

var updateFixtures = flag.Bool("update-adapt", false, "write what Caddyfiles adapt to into testdata/adapt, to be read before it is kept")

// positions are the fields that say where a part of the config stands. The fixtures do without: TestWarningsHavePositions is about
// them.
var positions = regexp.MustCompile(`,"position":"[^"]*"`)

const fixtureSeparator = "\n----------\n"

// TestCaddyfilesAdapt compares each Caddyfile with the JSON or the error below it, like Caddy's own caddyfile_adapt tests.
// A config that adapts must also provision.
func TestCaddyfilesAdapt(t *testing.T) {
	t.Setenv("REGISTRY", "testdata/adapt/registry.yaml")
	t.Setenv("KEY_ENCRYPTION", strings.Repeat("A", 43)+"=")
	t.Setenv("FORMER_KEY_ENCRYPTION", strings.Repeat("I", 43)+"=")
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) < 20 {
		t.Fatalf("only %d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			caddyfile, want, ok := strings.Cut(string(content), fixtureSeparator)
			if !ok {
				t.Fatal("no line of ten dashes")
			}
			got := adaptFixture(t, caddyfile)
			if *updateFixtures {
				err = os.WriteFile(file, []byte(caddyfile+fixtureSeparator+got+"\n"), 0o644)
			} else if got != strings.TrimSpace(want) {
				t.Errorf("adapts to\n%s\nwant\n%s", got, want)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(got, "{") {
				return
			}
			if err := servertest.New(t).Validate(caddyfile); err != nil {
				t.Errorf("does not provision: %v", err)
			}
		})
	}
}

// adaptFixture is the indented JSON of a Caddyfile, or the error.
func adaptFixture(t *testing.T, caddyfile string) string {
	t.Helper()
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err.Error()
	}
	for _, warning := range warnings {
		if !strings.Contains(warning.Message, "not formatted") {
			t.Errorf("warning %s", warning)
		}
	}
	adapted = positions.ReplaceAll(adapted, nil)
	var indented bytes.Buffer
	if err := json.Indent(&indented, adapted, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return indented.String()
}
