// Package opacli is OPA's command line for the authors of policies. Its entry point is [Commands].
//
// The commands are OPA's own, with their flags, output and exit codes. Unless flags say otherwise, they have the
// capabilities, the input schemas and the shipped modules of the server's engine. Two of them do more: check checks files
// against the contract like the server, and build checks a bundle together with the modules that the server adds to it.
// Commands that would start a second server are left out. The package imports policy, policy/files and rego.
package opacli

import (
	"errors"

	"github.com/open-policy-agent/opa/cmd"
	"github.com/spf13/cobra"
)

// Commands returns the subcommands. If SilenceErrors of a command is set after it failed, its error is already printed.
// ExitCode returns its exit code.
func Commands() []*cobra.Command {
	root := cmd.Command(&cobra.Command{Use: "opa"}, "OPA")
	var commands []*cobra.Command
	for _, c := range root.Commands() {
		root.RemoveCommand(c)
		adapt, keep := adaptations[c.Name()]
		if !keep {
			commands = append(commands, leftOut(c.Name()))
			continue
		}
		name(c)
		if adapt != nil {
			adapt(c)
		}
		refuseFlags(c)
		commands = append(commands, c)
	}
	return commands
}

// adaptations holds the commands that are available, and what is changed about them.
var adaptations = map[string]func(*cobra.Command){
	"bench":        withEngine,
	"build":        asBuild,
	"capabilities": asCapabilities,
	"check":        asCheck,
	"deps":         withEngine,
	"eval":         withEngine,
	"fmt":          nil,
	"inspect":      nil,
	"parse":        nil,
	"sign":         nil,
	"test":         asTest,
	"version":      nil,
}

// ExitCode returns the exit code of a command that returned err.
func ExitCode(err error) int {
	var exit *cmd.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Exit
	}
	return 1
}
