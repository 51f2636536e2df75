package caddymodule

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/opacli"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "opa",
		Short: "Checks, tests and builds policies with the engine that decides",
		Long: `
OPA's own commands for the authors of policies. What the server's engine has is
there by default: its builtin functions, the schemas of its input, and the shipped
modules, data.m2m.scope among them. Commands that start servers are left out.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Use = "opa <command>"
			cmd.Example = `  $ caddy opa check policy/
  $ caddy opa test policy/
  $ caddy opa build policy/ -o bundle.tar.gz`
			commands := opacli.Commands()
			for _, c := range commands {
				keepExitCode(c)
			}
			makeGroup(cmd, commands...)
		},
	})
}

// keepExitCode ends the program with the exit code that OPA means.
func keepExitCode(cmd *cobra.Command) {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		if code := opacli.ExitCode(err); code > 1 { // what is wrong is printed
			return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
		}
		return err
	}
}
