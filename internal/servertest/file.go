package servertest

import (
	"os"
	"testing"
)

// ReplaceFile writes a file below dir as an editor should: another one, renamed over it. Whoever
// reads it never finds it half written.
func ReplaceFile(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := WriteFile(t, dir, name+".new", content)
	final := path[:len(path)-len(".new")]
	if err := os.Rename(path, final); err != nil {
		t.Fatal(err)
	}
	return final
}
