package servertest

import (
	"os"
	"strings"
	"testing"
)

// Block returns the nth fenced block of a language below a heading of a page, without a mark for tests/docs. The first one is 1.
func Block(t testing.TB, page, heading, language string, nth int) string {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(content), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no heading %q", page, heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	section, _, _ = strings.Cut(section, "\n"+level+" ")
	for range nth {
		_, section, found = strings.Cut(section, "\n```"+language)
		if !found {
			t.Fatalf("%s has fewer than %d blocks of %s below %q", page, nth, language, heading)
		}
	}
	_, section, _ = strings.Cut(section, "\n")
	text, _, _ := strings.Cut(section, "\n```")
	return text + "\n"
}
