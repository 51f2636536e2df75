//go:build unix

package file

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Opening a pipe without a writer would wait forever.
func TestOpenRefusesPipes(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := Open(pipe); f != nil || err == nil || !strings.Contains(err.Error(), pipe+": not a regular file") {
		t.Errorf("Open = %v, %v", f, err)
	}
}
