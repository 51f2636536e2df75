package m2m_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/caddyserver/xcaddy"
	"golang.org/x/mod/modfile"
)

// TestXcaddyJSON holds xcaddy.json against xcaddy's own type and against go.mod, so that the
// build it describes is the one that is tested here.
func TestXcaddyJSON(t *testing.T) {
	file, err := os.Open("xcaddy.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var builder xcaddy.Builder
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&builder); err != nil {
		t.Fatalf("decoding xcaddy.json: %v", err)
	}
	module := parseGoMod(t)
	if len(builder.Plugins) != 1 || builder.Plugins[0].PackagePath != module.Module.Mod.Path {
		t.Errorf("plugins are %v, want this module, %s", builder.Plugins, module.Module.Mod.Path)
	}
	for _, required := range module.Require {
		if required.Mod.Path == "github.com/caddyserver/caddy/v2" && required.Mod.Version != builder.CaddyVersion {
			t.Errorf("caddy_version is %s, but go.mod has %s", builder.CaddyVersion, required.Mod.Version)
		}
	}
}

func parseGoMod(t *testing.T) *modfile.File {
	content, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := modfile.Parse("go.mod", content, nil)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
