// Package docs_test checks pages of docs/ against the tree.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	namedTest   = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	writtenTest = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9_]+)\(`)
)

// TestTheThreatModelNamesTestsThatExist checks that each test that the threat model names exists.
func TestTheThreatModelNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	named := namedTest.FindAllStringSubmatch(string(page), -1)
	if len(named) < 50 {
		t.Fatalf("the page names %d tests; is it read as it is written?", len(named))
	}
	written := testsOfTheTree(t)
	for _, match := range named {
		if !written[match[1]] {
			t.Errorf("docs/threat-model.md names %s, which does not exist", match[1])
		}
	}
}

var namedPath = regexp.MustCompile("`((?:caddymodule|cmd|docs|internal|policy|rego|tests)(?:/[A-Za-z0-9_.]+)*)`")

// TestThePageForContributorsNamesPathsThatExist checks each file and folder that docs/contributing.md names.
func TestThePageForContributorsNamesPathsThatExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/contributing.md")
	if err != nil {
		t.Fatal(err)
	}
	named := namedPath.FindAllStringSubmatch(string(page), -1)
	if len(named) < 30 {
		t.Fatalf("the page names %d paths; is it read as it is written?", len(named))
	}
	for _, match := range named {
		if _, err := os.Stat(filepath.Join("../..", match[1])); err != nil {
			t.Errorf("docs/contributing.md: %v", err)
		}
	}
}

func testsOfTheTree(t *testing.T) map[string]bool {
	written := make(map[string]bool)
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range writtenTest.FindAllStringSubmatch(string(source), -1) {
			written[match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return written
}
