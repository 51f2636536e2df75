package cli

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
)

// errSecretSeen does not repeat the secret.
var errSecretSeen = errors.New("a secret stands in the command line, where other users can see it in the list of processes: replace it.\n" +
	"Commands read secrets from files, from the environment or from standard input, and name them by their IDs")

// prepare has a command and its subcommands end with the exit codes of their errors, and refuse a secret in any argument
// or flag before they do anything else.
func (h *Host) prepare(cmd *cobra.Command) {
	checkArgs, run := cmd.Args, cmd.RunE
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		texts := slices.Clone(args)
		cmd.Flags().Visit(func(f *pflag.Flag) { texts = append(texts, f.Value.String()) })
		if slices.ContainsFunc(texts, credential.ContainsSecret) {
			return h.exit(cmd, &exitError{exitInvalid, errSecretSeen})
		}
		if checkArgs == nil {
			return nil
		}
		return checkArgs(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return h.exit(cmd, run(cmd, args)) }
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return errors.New(credential.Mask(err.Error()))
	})
	for _, below := range cmd.Commands() {
		h.prepare(below)
	}
}
