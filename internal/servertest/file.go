package servertest

import (
	"os"
	"path/filepath"
	"testing"
)

// ReplaceFile writes a file below dir as an editor should: it renames a new file over it. A reader
// never finds the file half written.
func ReplaceFile(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := WriteFile(t, dir, name+".new", content)
	final := path[:len(path)-len(".new")]
	if err := os.Rename(path, final); err != nil {
		t.Fatal(err)
	}
	return final
}

// Remove removes a file below dir.
func Remove(t testing.TB, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
