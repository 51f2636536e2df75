package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

func (h *Host) applyCommand() *cobra.Command {
	var prune, dryRun bool
	cmd := &cobra.Command{
		Use:   "apply <file> [flags]",
		Short: "Applies a registry file to a running server",
		Long: `
Creates and replaces the clients and resources of a registry file, in YAML or JSON;
"-" is standard input. A client without "secrets" in the file keeps its secrets.
Entries that the file does not name stay, unless there is --prune. If the server's
registry is itself a file, only --dry-run works.

The whole file is checked before anything is changed. The changes are printed as diff
prints them, and then how many there are. If the storage fails half-way, the changes
that were made are printed, and another apply makes the rest. An apply that is
interrupted goes on at the server.`,
		Example: `  $ caddy m2m export > registry.yaml
  $ caddy m2m diff registry.yaml && echo same
  $ caddy m2m apply registry.yaml --prune`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&prune, "prune", false, "delete the entries that the file does not name")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only print what would change")
	return h.administerAll(cmd, func(s *session, args []string) error {
		_, err := s.apply(args[0], prune, dryRun)
		return err
	})
}

func (h *Host) diffCommand() *cobra.Command {
	var prune bool
	cmd := &cobra.Command{
		Use:   "diff <file> [flags]",
		Short: "Prints what apply would change",
		Long: `
Prints what apply would change, and changes nothing: a line for each entry, and below
it a line for each field and each single grant. The exit code is 0 if there are no
differences, and 2 if there are.`,
		Example: `  $ caddy m2m diff --prune registry.yaml`,
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&prune, "prune", false, "also print what apply --prune would delete")
	return h.administerAll(cmd, func(s *session, args []string) error {
		if changes, err := s.apply(args[0], prune, true); err != nil || len(changes) == 0 {
			return err
		}
		return errDifferent
	})
}

// apply sends a registry file, and prints the changes.
func (s *session) apply(file string, prune, dryRun bool) ([]api.Change, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(io.LimitReader(s.cmd.InOrStdin(), api.MaxApplyBody+1))
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	mediaType := "application/yaml"
	if strings.HasPrefix(strings.TrimSpace(string(data[:min(len(data), 1024)])), "{") {
		mediaType = "application/json"
	}
	query := url.Values{"prune": {fmt.Sprint(prune)}, "dry_run": {fmt.Sprint(dryRun)}}
	p := &applying{session: s, dryRun: dryRun, again: s.diffCommandLine(file)}
	answer, err := p.send(query, mediaType, data)
	if err != nil {
		return nil, err
	}
	return answer.Changes, s.print(answer, func() {
		s.printChanges(answer.Changes)
		s.printSummary(answer.Changes, dryRun)
	})
}

// diffCommandLine is the command that shows what an apply of the file would still change.
func (s *session) diffCommandLine(file string) string {
	line := programName() + " m2m diff " + shellWord(file)
	s.cmd.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "prune":
			line += " --prune"
		case "address", "config", "adapter", "issuer":
			line += " --" + f.Name + " " + shellWord(f.Value.String())
		}
	})
	return line
}

func (h *Host) exportCommand() *cobra.Command {
	var format string
	var withoutSecrets bool
	cmd := &cobra.Command{
		Use:   "export [flags]",
		Short: "Prints the registry of a running server as a registry file",
		Long: `
Prints the registry of a running server as a registry file, for apply. It holds the
hashes of secrets, not the secrets. With --without-secrets it has neither, for a
repository that many people read: apply then keeps the secrets that clients have.`,
		Example: `  $ caddy m2m export > registry.yaml
  $ caddy m2m export --without-secrets --format json`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&format, "format", "yaml", "yaml or json")
	cmd.Flags().BoolVar(&withoutSecrets, "without-secrets", false, "leave out the secrets, their hashes and times")
	return h.administerAll(cmd, func(s *session, _ []string) error {
		query := url.Values{"format": {format}}
		if withoutSecrets {
			query.Set("without_secrets", "true")
		}
		response, err := s.send(http.MethodGet, "/export", query, "", nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		file, err := readBounded(response.Body, api.MaxAnswer) // all of it: a part would also be a registry file
		if err != nil {
			return &exitError{exitUnavailable, fmt.Errorf("the server closed the connection, see its log: %w", err)}
		}
		_, err = s.out.Write(file)
		return err
	})
}
