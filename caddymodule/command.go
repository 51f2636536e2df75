package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "m2m",
		Short: "Works with machine-to-machine tokens and their issuers",
		Long: `
Administers clients, resources and grants of a running server, asks issuers for
tokens, and inspects tokens.

Secrets and tokens are never taken as arguments, which other users of a machine
can read: they come from files, from the environment or from standard input.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Use = "m2m <command>"
			makeGroup(cmd, devCommand(), initCommand(), clientCommand(), secretCommand(), resourceCommand(), grantCommand(), keyCommand(), revokeCommand(),
				applyCommand(), diffCommand(), exportCommand(), statusCommand(), explainCommand(), tokenCommand(), inspectCommand(), replayCommand())
			refuseSecrets(cmd)
		},
	})
}

// makeGroup gives a command subcommands. Without one it prints its help; with one that it does not
// have it fails, where cobra would print the help and call that a success.
func makeGroup(cmd *cobra.Command, subcommands ...*cobra.Command) {
	cmd.AddCommand(subcommands...)
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		message := fmt.Sprintf("unknown command %q for %q", args[0], cmd.CommandPath())
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			message += fmt.Sprintf("; did you mean %q?", near[0])
		}
		return errors.New(message)
	}
}

func newSecretCommand() *cobra.Command {
	format := formatFlag{value: "text"}
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Makes a client secret, and the line that a registry file keeps of it",
		Long: `
Makes a client secret of 256 random bits and prints it, this once. What a registry
keeps is its SHA-256, from which nobody can make the secret again: put that line
below the client's "secrets" and give the secret to whoever runs the client.`,
		Example: `  $ caddy m2m secret new
  $ caddy m2m secret new --format json | jq -r .client_secret > client-secret`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printSecret(cmd.OutOrStdout(), registry.NewSecret(), format.value)
		},
	}
	cmd.Flags().Var(&format, "format", "text, or json for an object with client_secret, the same as secret, and sha256")
	return cmd
}

func printSecret(out io.Writer, secret, format string) error {
	hash := registry.HashSecret(secret)
	if format == "json" {
		return json.NewEncoder(out).Encode(struct {
			ClientSecret string `json:"client_secret"` // as whatever makes a secret calls it
			Secret       string `json:"secret"`
			SHA256       string `json:"sha256"`
		}{secret, secret, hash})
	}
	_, err := fmt.Fprintf(out, `secret, shown this once:

  %s

registry file, below the client's "secrets":

  - {id: s1, sha256: %q}
`, secret, hash)
	return err
}

// formatFlag is text or json; anything else is a usage error.
type formatFlag struct{ value string }

func (f *formatFlag) String() string { return f.value }
func (f *formatFlag) Type() string   { return "format" }
func (f *formatFlag) Set(value string) error {
	if value != "text" && value != "json" {
		return errors.New("it is text or json")
	}
	f.value = value
	return nil
}
