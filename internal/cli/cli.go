// Package cli is the command line: `caddy m2m` and `caddy opa`. Its entry points are [Host.M2M] and [Host.OPA]. The
// commands administer a server through the types of internal/admin/api; some work without a server. The package imports
// leaves, the policy packages and internal/opacli. What needs Caddy comes in through [Host].
package cli

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/opacli"
	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
)

// M2M makes cmd the command `m2m`.
func (h *Host) M2M(cmd *cobra.Command) {
	cmd.Use = "m2m <command>"
	cmd.Example = `  $ caddy m2m dev
  $ caddy m2m client create ci-bot --grant 'book:*:read'
  $ caddy m2m token --issuer https://auth.example.com 'book:*:read' | caddy m2m inspect`
	makeGroup(cmd, h.devCommand(), initCommand(), h.clientCommand(), h.secretCommand(), h.resourceCommand(), h.grantCommand(),
		h.keyCommand(), h.revokeCommand(), h.applyCommand(), h.diffCommand(), h.exportCommand(), h.statusCommand(),
		h.explainCommand(), tokenCommand(), proofCommand(), h.inspectCommand(), replayCommand())
	h.prepare(cmd)
}

// OPA makes cmd the command `opa`.
func (h *Host) OPA(cmd *cobra.Command) {
	cmd.Use = "opa <command>"
	cmd.Example = `  $ caddy opa check policy/
  $ caddy opa test policy/
  $ caddy opa build policy/ -o bundle.tar.gz`
	commands := opacli.Commands()
	for _, c := range commands {
		run := c.RunE
		c.RunE = func(cmd *cobra.Command, args []string) error {
			err := run(cmd, args)
			if code := opacli.ExitCode(err); code > 1 { // the error is printed already
				return h.Exit(cmd, code)
			}
			return err
		}
	}
	makeGroup(cmd, commands...)
}

// group makes a command that only has subcommands.
func group(name, short, example string, subcommands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name + " <command>", Short: short, Example: example}
	makeGroup(cmd, subcommands...)
	return cmd
}

// makeGroup gives a command subcommands. Without one it prints its help, and with an unknown one it fails, where cobra
// would print the help and succeed.
func makeGroup(cmd *cobra.Command, subcommands ...*cobra.Command) {
	cmd.AddCommand(subcommands...)
	cmd.SetFlagErrorFunc(flagError)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return unknownCommand(cmd, args[0])
	}
}

// flagError adds to an error about an unknown flag the flag that was probably meant. It returns the error about an unknown
// command instead, if that is the cause: a misspelt command leaves its flags to the group, which does not know them.
func flagError(cmd *cobra.Command, err error) error {
	if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if near := suggest.Nearest(unknown.GetSpecifiedName(), flagsOf(cmd)); near != "" {
			return fmt.Errorf("%w; did you mean --%s?", err, near)
		}
	}
	return err
}

// flagsOf returns the names of the flags of a command that its help shows.
func flagsOf(cmd *cobra.Command) iter.Seq[string] {
	return func(yield func(string) bool) {
		more := true
		cmd.Flags().VisitAll(func(f *pflag.Flag) { more = more && (f.Hidden || yield(f.Name)) })
	}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	message := fmt.Sprintf("unknown command %q for %q", name, cmd.CommandPath())
	if near := cmp.Or(suggest.Nearest(name, namesOf(cmd)), startingWith(name, namesOf(cmd))); near != "" {
		message += fmt.Sprintf("; did you mean %q?", near)
	}
	return errors.New(message)
}

// parsingFault is what strconv says about a value that the error shows already.
var parsingFault = regexp.MustCompile(`strconv\.\w+: parsing "(?:[^"\\]|\\.)*": `)

// namesOf returns the names of the subcommands.
func namesOf(cmd *cobra.Command) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, below := range cmd.Commands() {
			if below.IsAvailableCommand() && !yield(below.Name()) {
				return
			}
		}
	}
}

func startingWith(text string, names iter.Seq[string]) string {
	for name := range names {
		if text != "" && strings.HasPrefix(name, text) {
			return name
		}
	}
	return ""
}

// errSecretSeen does not repeat the secret.
var errSecretSeen = errors.New("the command line contains a secret, and other users can see it in the list of processes: replace it.\n" +
	"Commands read secrets from files, from the environment or from standard input, and name them by their IDs")

// prepare makes a command and its subcommands end with the exit codes of their errors. First of all, they refuse a secret
// in an argument or a flag.
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
		if err := checkArgs(cmd, args); err != nil {
			return errors.New(credential.Mask(err.Error()) + "\nUsage: " + cmd.UseLine())
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return h.exit(cmd, run(cmd, args)) }
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return errors.New(credential.Mask(parsingFault.ReplaceAllString(flagError(cmd, err).Error(), "")))
	})
	for _, below := range cmd.Commands() {
		h.prepare(below)
	}
}
