package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Help that lists commands shows how to call some of them.
func TestGroupsHaveExamples(t *testing.T) {
	root := &cobra.Command{Use: "caddy"}
	m2m, opa := new(cobra.Command), new(cobra.Command)
	h := new(Host)
	h.M2M(m2m)
	h.OPA(opa)
	root.AddCommand(m2m, opa)
	groups := 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.HasSubCommands() {
			groups++
			if !strings.Contains(cmd.Example, "$ "+cmd.CommandPath()+" ") {
				t.Errorf("%s has no example", cmd.CommandPath())
			}
			for line := range strings.Lines(cmd.Example) {
				checkExample(t, root, strings.TrimSpace(line))
			}
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(m2m)
	walk(opa)
	if groups < 7 {
		t.Errorf("%d groups", groups)
	}
}

// checkExample finds the command of an example, so that it is not of a command that was renamed.
func checkExample(t *testing.T, root *cobra.Command, line string) {
	t.Helper()
	words := strings.Fields(strings.TrimPrefix(line, "$ caddy "))
	found, _, err := root.Find(words)
	if err != nil || found.HasSubCommands() {
		t.Errorf("%s: no such command: %v", line, err)
	}
}
