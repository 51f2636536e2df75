package docs_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestShellBlocks: what readers paste into a shell is a script. If shellcheck is installed, it finds no fault in it.
func TestShellBlocks(t *testing.T) {
	shellcheck, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Log("shellcheck is not installed: only the syntax is checked")
	}
	found := blocks(t, "sh")
	if len(found) < 20 {
		t.Fatalf("found %d blocks; are they written as this test reads them?", len(found))
	}
	for _, b := range found {
		check(t, b, "bash", "-n")
		if shellcheck != "" {
			// 1091 and 2154: a file or a variable of the reader. 2164: no one writes `cd folder || exit` into a terminal.
			check(t, b, shellcheck, "--shell=bash", "--severity=warning", "--exclude=1091,2154,2164", "-")
		}
	}
}

// check runs a program that reads a block from its standard input.
func check(t *testing.T, b block, name string, args ...string) {
	t.Helper()
	command := exec.Command(name, args...)
	command.Stdin = strings.NewReader(b.text)
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%s: %s: %v\n%s", b, name, err, output)
	}
}
