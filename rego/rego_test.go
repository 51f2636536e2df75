package rego_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	shipped "github.com/caddy-m2m/caddy-m2m/rego"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
)

// fewest keeps a run that finds no tests from passing.
const fewest = 20

// TestRego runs what `opa test .` runs, each Rego test as a Go test.
func TestRego(t *testing.T) {
	files, err := loader.NewFileLoader().WithProcessAnnotation(true).All([]string{"."})
	if err != nil {
		t.Fatal(err)
	}
	store := inmem.NewFromObject(files.Documents)
	txn, err := store.NewTransaction(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Abort(t.Context(), txn)
	results, err := tester.NewRunner().SetStore(store).SetModules(files.ParsedModules()).
		SetCompiler(ast.NewCompiler().WithStrict(true)).RunTests(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for result := range results {
		ran++
		t.Run(result.Name, func(t *testing.T) {
			if !result.Pass() {
				t.Errorf("%s: failed (%v)", result.Location, result.Error)
			}
		})
	}
	if ran < fewest {
		t.Errorf("%d Rego tests ran, want at least %d", ran, fewest)
	}
}

func TestRegoIsFormatted(t *testing.T) {
	for _, name := range regoFiles(t) {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		formatted, err := format.SourceWithOpts(name, source, format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatal(err)
		}
		if string(formatted) != string(source) {
			t.Errorf("%s is not as `opa fmt` writes it", name)
		}
	}
}

func TestFilesHoldEveryModuleAndNoTest(t *testing.T) {
	var want []string
	for _, name := range regoFiles(t) {
		if !strings.HasSuffix(name, "_test.rego") {
			want = append(want, name)
		}
	}
	got := []string{shipped.Contract, shipped.Grants, shipped.Identity, shipped.Log, shipped.Request, shipped.Scope, shipped.Token}
	if !slices.Equal(got, want) {
		t.Errorf("names are %q, the folder has %q", got, want)
	}
	for _, name := range append(got, shipped.TokenInput, shipped.RequestInput, shipped.IdentityInput) {
		if content, err := shipped.Files.ReadFile(name); err != nil || len(content) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(content), err)
		}
	}
}

func regoFiles(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*.rego")
	if err != nil || len(names) == 0 {
		t.Fatalf("no Rego files: %v", err)
	}
	return names
}
