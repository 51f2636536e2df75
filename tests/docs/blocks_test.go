package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// block is a fenced block of a page. Its info string is a language and, if any, one mark.
type block struct {
	page     string // its path below the root of the repository
	line     int    // of its first line of text
	language string
	mark     string
	text     string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// marks are what a block may say beside its language. docs/contributing.md explains them.
var marks = map[string][]string{
	"caddyfile": {"plugin", "run"},
	"sh":        {"run", "server"},
	"json":      {"answer"},
	"text":      {"answer"},
}

// pages returns the paths of the pages that users read, below the root of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*/README.md"} {
		paths, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			found = append(found, filepath.ToSlash(strings.TrimPrefix(path, "../../")))
		}
	}
	if len(found) < 20 {
		t.Fatalf("found %d pages; are they where this test looks?", len(found))
	}
	return found
}

// blocksOf returns the fenced blocks of a page.
func blocksOf(t *testing.T, page string) []block {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../..", page))
	if err != nil {
		t.Fatal(err)
	}
	var found []block
	var open *block
	line := 0
	for text := range strings.Lines(string(content)) {
		line++
		info, fence := strings.CutPrefix(strings.TrimSuffix(text, "\n"), "```")
		switch {
		case !fence && open != nil:
			open.text += text
		case fence && open == nil:
			open = &block{page: page, line: line + 1}
			open.language, open.mark, _ = strings.Cut(info, " ")
		case fence:
			found = append(found, *open)
			open = nil
		}
	}
	if open != nil {
		t.Errorf("%s: the block is not closed", open)
	}
	return found
}

// blocks returns the fenced blocks of all pages in a language.
func blocks(t *testing.T, language string) []block {
	t.Helper()
	var found []block
	for _, page := range pages(t) {
		for _, b := range blocksOf(t, page) {
			if b.language == language {
				found = append(found, b)
			}
		}
	}
	return found
}

// TestMarksAreKnown: a mark that is misspelt would leave a block untested.
func TestMarksAreKnown(t *testing.T) {
	for _, page := range pages(t) {
		for _, b := range blocksOf(t, page) {
			if b.mark != "" && !slices.Contains(marks[b.language], b.mark) {
				t.Errorf("%s: the mark %q of a %s block is not one of %q", b, b.mark, b.language, marks[b.language])
			}
		}
	}
}
