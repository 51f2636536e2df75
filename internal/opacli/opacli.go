// Package opacli is OPA's command line as the authors of policies want it: with what the server's
// engine has, and without what would be a second server.
//
// The commands are OPA's own, with their flags, output and exit codes. They get the capabilities,
// the input schemas and the shipped modules of this program unless flags say otherwise. Two know
// more than OPA's: check holds the files against the contract as the server does, and build checks a
// bundle together with the modules that the server will add to it.
package opacli

import (
	"errors"

	"github.com/open-policy-agent/opa/cmd"
	"github.com/spf13/cobra"
)

// Commands are the subcommands. The error of one that fails is printed already when the command's
// SilenceErrors is set; its exit code is ExitCode.
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

// adaptations are the commands that are kept, with what is changed about them.
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

// ExitCode is the exit code of a command that ended with this error.
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
