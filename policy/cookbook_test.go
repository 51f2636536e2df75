package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

// TestCookbook runs the tests of each policy of docs/cookbook, and holds docs/cookbook.md to show it as it
// is.
func TestCookbook(t *testing.T) {
	text, err := os.ReadFile("../docs/cookbook.md")
	if err != nil {
		t.Fatal(err)
	}
	folders, err := filepath.Glob("../docs/cookbook/*")
	if err != nil || len(folders) < 9 {
		t.Fatalf("%d policies, %v", len(folders), err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			e, err := Load(Config{Paths: []string{folder}, Verify: true})
			if err != nil {
				t.Fatal(err)
			}
			e.Close()
			if !strings.Contains(string(text), "(cookbook/"+filepath.Base(folder)+")") {
				t.Errorf("cookbook.md does not link to it")
			}
			for _, file := range filesOf(t, folder) {
				checkShown(t, file, string(text))
			}
		})
	}
}

func checkShown(t *testing.T, file, cookbook string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(file) == ".rego" {
		formatted, err := format.SourceWithOpts(file, content, format.Opts{RegoVersion: ast.RegoV1})
		if err != nil || string(formatted) != string(content) {
			t.Errorf("%s is not as opa fmt writes it: %v", file, err)
		}
	}
	if !strings.HasSuffix(file, "_test.rego") && !strings.Contains(cookbook, "\n"+string(content)+"```\n") {
		t.Errorf("cookbook.md does not show %s as it is", file)
	}
}

func filesOf(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.*")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}
