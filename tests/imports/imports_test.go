// Package imports_test states which package may import which, once.
package imports_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/caddy-m2m/caddy-m2m"

// plain are the leaves whose types and helpers any package may use.
var plain = []string{
	"internal/audit", "internal/claimname", "internal/clientcert", "internal/credential", "internal/envelope", "internal/fetch", "internal/folder", "internal/httphost",
	"internal/lru", "internal/percent", "internal/poll", "internal/scope", "internal/suggest", "internal/uri",
}

// own are the packages of this module that a package may import beside the plain ones. A package that is not
// here is new: decide where it stands before you add it.
var own = map[string][]string{
	"": {"caddymodule"},
	"caddymodule": {
		"internal/admin",
		"internal/admin/api",
		"internal/admission",
		"internal/cli",
		"internal/clientkeys",
		"internal/discovery",
		"internal/door",
		"internal/dpop",
		"internal/httpguard",
		"internal/issuer",
		"internal/keyring",
		"internal/lint",
		"internal/logmask",
		"internal/metrics",
		"internal/oauth",
		"internal/once",
		"internal/registry",
		"internal/registry/file",
		"internal/registry/store",
		"internal/reload",
		"internal/remote",
		"internal/slowdown",
		"internal/storage",
		"internal/token",
		"policy",
		"policy/bundle",
	},
	"cmd/caddy": {""},
	"internal/admin": {
		"internal/admin/api",
		"internal/door",
		"internal/issuer",
		"internal/keyring",
		"internal/oauth",
		"internal/registry",
		"internal/registry/file",
		"internal/registry/store",
		"internal/remote",
		"internal/revocation",
		"policy",
	},
	"internal/admin/api": {"policy"},
	"internal/admission": {},
	"internal/assertion": {"internal/token"},
	"internal/audit":     {},
	"internal/claimname": {},
	"internal/cli": {
		"internal/admin/api",
		"internal/discovery",
		"internal/dpop",
		"internal/opacli",
		"internal/registry",
		"internal/registry/store",
		"internal/token",
		"policy",
		"policy/replay",
		"rego",
	},
	"internal/clientcert":  {},
	"internal/clientkeys":  {"internal/discovery", "internal/token"},
	"internal/credential":  {},
	"internal/decisionlog": {"internal/logmask", "policy"},
	"internal/discovery":   {},
	"internal/door": {
		"internal/admin/api",
		"internal/decisionlog",
		"internal/dpop",
		"internal/httpguard",
		"internal/metrics",
		"internal/oauth",
		"internal/token",
		"policy",
	},
	"internal/dpop":      {"internal/once", "internal/token"},
	"internal/envelope":  {},
	"internal/exchange":  {"internal/token"},
	"internal/fetch":     {},
	"internal/folder":    {},
	"internal/httpguard": {},
	"internal/httphost":  {},
	"internal/issuer": {
		"internal/admin/api",
		"internal/admission",
		"internal/assertion",
		"internal/clientkeys",
		"internal/decisionlog",
		"internal/dpop",
		"internal/exchange",
		"internal/keyring",
		"internal/metrics",
		"internal/oauth",
		"internal/once",
		"internal/registry",
		"internal/registry/store",
		"internal/reload",
		"internal/revocation",
		"internal/slowdown",
		"internal/storage",
		"internal/token",
		"policy",
	},
	"internal/keyring":           {"internal/oauth", "internal/token"},
	"internal/lint":              {},
	"internal/logmask":           {},
	"internal/lru":               {},
	"internal/metrics":           {"policy"},
	"internal/oauth":             {},
	"internal/once":              {},
	"internal/opacli":            {"policy", "policy/files", "rego"},
	"internal/percent":           {},
	"internal/poll":              {},
	"internal/registry":          {},
	"internal/registry/file":     {"internal/registry"},
	"internal/registry/store":    {"internal/registry"},
	"internal/reload":            {"internal/metrics"},
	"internal/remote":            {"internal/discovery", "internal/revocation", "internal/token"},
	"internal/remote/remotetest": {"internal/revocation", "internal/token"},
	"internal/revocation":        {},
	"internal/scope":             {},
	"internal/servertest":        {"caddymodule", "internal/token"},
	"internal/slowdown":          {},
	"internal/storage":           {},
	"internal/suggest":           {},
	"internal/token":             {},
	"internal/uri":               {},
	"policy":                     {"policy/bundle", "policy/files", "rego"},
	"policy/bundle":              {"policy/files"},
	"policy/files":               {},
	"policy/replay":              {"policy"},
	"rego":                       {},
}

// confined are libraries that stay behind some packages, so that replacing one is a change of few packages.
var confined = map[string][]string{
	"github.com/caddyserver/caddy":     {"caddymodule", "cmd/caddy", "internal/servertest"},
	"github.com/lestrrat-go/jwx":       {"internal/token"},
	"github.com/open-policy-agent/opa": {"internal/opacli", "policy", "policy/bundle", "policy/files"},
}

// TestImportsPointOneWay fails when a package imports what the tables above do not allow.
func TestImportsPointOneWay(t *testing.T) {
	imports := importsOfTheTree(t)
	for name, imported := range imports {
		allowed, known := own[name]
		if !known {
			t.Errorf("package %q is not in the table of this test", name)
		}
		for _, path := range imported {
			if in, ours := inModule(path); ours {
				if !slices.Contains(allowed, in) && !slices.Contains(plain, in) {
					t.Errorf("%q imports %q, which the table of this test does not allow", name, in)
				}
				continue
			}
			for library, users := range confined {
				if strings.HasPrefix(path+"/", library+"/") && !slices.Contains(users, name) {
					t.Errorf("%q imports %s, which belongs to %q alone", name, path, users)
				}
			}
		}
	}
	for name, allowed := range own {
		for _, path := range allowed {
			if full := strings.TrimSuffix(module+"/"+path, "/"); !slices.Contains(imports[name], full) {
				t.Errorf("%q no longer imports %q: shorten the table", name, path)
			}
		}
	}
}

// importsOfTheTree are the imports of each package by its path below the module, without those of tests.
func importsOfTheTree(t *testing.T) map[string][]string {
	t.Helper()
	command := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...")
	command.Dir = "../.."
	output, err := command.Output()
	if err != nil {
		t.Fatalf("listing packages: %v", err)
	}
	imports := make(map[string][]string)
	for line := range strings.Lines(string(output)) {
		words := strings.Fields(line)
		name, _ := inModule(words[0])
		if !strings.HasPrefix(name, "tests/") && name != "examples" {
			imports[name] = words[1:]
		}
	}
	return imports
}

// inModule returns the path of a package below the module, and whether it is of the module.
func inModule(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}
