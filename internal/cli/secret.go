package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

func (h *Host) secretCommand() *cobra.Command {
	list := &cobra.Command{Use: "list <client>", Short: "Lists the secrets of a client by their IDs", Args: cobra.ExactArgs(1)}
	return group("secret", "Works with client secrets", `  $ caddy m2m secret rotate ci-bot --overlap 24h
  $ caddy m2m secret list ci-bot
  $ caddy m2m secret check < client-secret`,
		newSecretCommand(), checkSecretCommand(), h.createSecretCommand(), h.importSecretCommand(), getCommand(h, list, "/clients%s/secrets", (*session).printSecretList),
		h.rotateSecretCommand(), h.revokeSecretCommand())
}

func checkSecretCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check < secret",
		Short: "Detects a mistyped secret, without a server",
		Long: `
Reads a secret from standard input and verifies its checksum. White space around the
secret is an error, and one line break at its end is a note. The command does
not know whether a client has this secret.

The exit code is 0 for a well-formed secret and 5 otherwise.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return errors.New("no argument is taken: the secret is read from standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret, lineBreak, err := readSecret(cmd)
			if err != nil {
				return err
			}
			if err := registry.CheckSecret(secret); err != nil {
				if registry.CheckImported(secret) == nil {
					err = fmt.Errorf("%w; \"caddy m2m secret import\" accepts this one", err)
				}
				return &exitError{exitInvalid, err}
			}
			if lineBreak {
				fmt.Fprintln(cmd.ErrOrStderr(), "A line break follows the secret. Shells remove it, but a program that takes the file as it is, such as a Kubernetes secret, sends it.")
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "well-formed")
			return err
		},
	}
}

func (h *Host) createSecretCommand() *cobra.Command {
	var expires string
	cmd := &cobra.Command{
		Use:   "create <client> [flags]",
		Short: "Adds a secret to a client, and prints it once",
		Long: `
Adds a secret to a client. At most two work at a time. To replace one, use rotate.`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&expires, "expires", "", "when it ends: a time as in RFC 3339, or a duration from now")
	return h.administer(cmd, func(s *session, args []string) error {
		return s.makeSecret(args[0], "/secrets", nil, map[string]any{}, expires)
	})
}

func (h *Host) rotateSecretCommand() *cobra.Command {
	var expires, overlap string
	var force bool
	cmd := &cobra.Command{
		Use:   "rotate <client> [flags]",
		Short: "Makes a new secret, and lets the old one expire",
		Long: `
Makes a new secret of a client and prints it once. The old secret keeps working for
the overlap, so that there is time to give the client the new one.

If two secrets work already, the older one is removed. If it was used in the last
hour, that takes --force.`,
		Example: `  $ caddy m2m secret rotate ci-bot --overlap 24h`,
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&overlap, "overlap", "24h", "how long the old secret keeps working; 0s ends it now")
	cmd.Flags().StringVar(&expires, "expires", "", "when the new one ends: a time as in RFC 3339, or a duration from now")
	cmd.Flags().BoolVar(&force, "force", false, "also end a secret that was used in the last hour")
	return h.administer(cmd, func(s *session, args []string) error {
		return s.makeSecret(args[0], "/secrets/rotate", url.Values{"force": {strconv.FormatBool(force)}}, map[string]any{"overlap": overlap}, expires)
	})
}

func (s *session) makeSecret(client, path string, query url.Values, body map[string]any, expires string) error {
	if err := setTime(body, "expires", expires); err != nil {
		return err
	}
	return ask(s, http.MethodPost, "/clients"+segment(client)+path, query, body, func(s *session, made api.CreatedSecret) {
		s.printf("client_id      %s\nclient_secret  %s\n\nThe secret, %s, is shown only once.\n", printable(made.ClientID), made.ClientSecret, made.SecretID)
		for _, old := range made.Old {
			s.printf("%s works until %s.\n", old.ID, timeOr(old.Expires, "it is revoked"))
		}
	})
}

func (s *session) printSecretList(list api.SecretList) {
	s.printSecrets(list)
	if len(list.Secrets) == 0 {
		s.hintSecrets(s.cmd.Flags().Arg(0))
	}
}

func (s *session) hintSecrets(client string) {
	s.warnf("The client has no secret, so it gets no token. To make one: %s m2m secret create %s\n", programName(), shellWord(client))
}

func (s *session) printSecrets(list api.SecretList) {
	rows := [][]string{{"SECRET", "WORKS", "CREATED", "EXPIRES", "LAST USED"}}
	for _, secret := range list.Secrets {
		works := "no"
		if secret.Live {
			works = "yes"
		}
		if secret.Imported {
			works += ", imported"
		}
		rows = append(rows, []string{secret.ID, works, timeOr(secret.Created, "-"), timeOr(secret.Expires, "never"), timeOr(secret.LastUsed, "never")})
	}
	s.table(rows...)
}

func (h *Host) revokeSecretCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "revoke <client> <secret-id> [flags]",
		Short: "Revokes a secret, from the next request on",
		Long: `
Revokes a secret, from the next request on. A secret that was used in the last hour
is still needed: revoking it takes --force.`,
		Args: cobra.ExactArgs(2),
	}
	cmd.Flags().BoolVar(&force, "force", false, "also revoke a secret that was used in the last hour")
	return h.administer(cmd, func(s *session, args []string) error {
		path := "/clients" + segment(args[0]) + "/secrets" + segment(args[1])
		if err := s.call(http.MethodDelete, path, url.Values{"force": {strconv.FormatBool(force)}}, nil, nil); err != nil {
			return err
		}
		return s.print(map[string]string{"client_id": args[0], "revoked": args[1]}, func() {
			s.printf("secret %s of %s is revoked\n", printable(args[1]), printable(args[0]))
		})
	})
}

func newSecretCommand() *cobra.Command {
	format := forPeople("text")
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Makes a client secret, and its line for a registry file",
		Long: `
Makes a client secret of 256 random bits and prints it once. A registry holds its
SHA-256, from which the secret cannot be computed: put that line below the client's
"secrets", and give the secret to the operator of the client.`,
		Example: `  $ caddy m2m secret new
  $ caddy m2m secret new --format json | jq -r .client_secret > client-secret`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			secret := registry.NewSecret()
			hash := registry.HashSecret(secret)
			if format.value == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					ClientSecret string `json:"client_secret"` // as in other answers with a secret
					Secret       string `json:"secret"`
					SHA256       string `json:"sha256"`
				}{secret, secret, hash})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), newSecretText, secret, hash)
			return err
		},
	}
	cmd.Flags().Var(&format, "format", "text, or json for an object with client_secret, the same as secret, and sha256")
	return cmd
}

const newSecretText = `secret, shown only once:

  %s

registry file, below the client's "secrets":

  - {id: s1, sha256: %q}
`
