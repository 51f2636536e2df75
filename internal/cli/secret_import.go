package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

func (h *Host) importSecretCommand() *cobra.Command {
	var expires string
	cmd := &cobra.Command{
		Use:   "import [<client>] [flags] < secret",
		Short: "Adds a secret that a client has already",
		Long: `
Reads a secret that another program made from standard input, and adds it to a
client, so that the client need not change when it moves here. Without a client it
prints the line for a registry file, and asks no server.

The secret needs 128 bits, judged by its length and its characters: 32 hex digits, or
22 letters in upper and lower case and digits. One that looks as if a person has
chosen it is refused. White space and ":" and "%" are not allowed in it.

Scanners do not recognize such a secret, so replace it with rotate when you can.`,
		Example: `  $ caddy m2m secret import ci-bot < client-secret
  $ vault kv get -field=secret kv/ci-bot | caddy m2m secret import ci-bot --expires 2160h`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("one argument at most is taken, the client: the secret is read from standard input")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&expires, "expires", "", "when it ends: a time as in RFC 3339, or a duration from now")
	cmd = h.administer(cmd, func(s *session, args []string) error { return s.importSecret(args[0], expires) })
	administered := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return printImported(cmd)
		}
		return administered(cmd, args)
	}
	return cmd
}

func (s *session) importSecret(client, expires string) error {
	secret, _, err := readSecret(s.cmd)
	if err != nil {
		return err
	}
	if err := registry.CheckImport(secret, client); err != nil { // before it is sent anywhere
		return &exitError{exitInvalid, err}
	}
	body := map[string]any{"client_secret": secret}
	if err := setTime(body, "expires", expires); err != nil {
		return err
	}
	return ask(s, http.MethodPost, "/clients"+segment(client)+"/secrets", nil, body, func(s *session, made api.CreatedSecret) {
		s.printf("the secret is imported as %s of %s\n", made.SecretID, printable(made.ClientID))
	})
}

// printImported prints the line for a registry file.
func printImported(cmd *cobra.Command) error {
	secret, _, err := readSecret(cmd)
	if err != nil {
		return err
	}
	if err := registry.CheckImport(secret, ""); err != nil {
		return &exitError{exitInvalid, err}
	}
	hash, imported := registry.HashSecret(secret), registry.ImportedSecret(secret).Imported
	if cmd.Flag("format").Value.String() == "json" {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
			SHA256   string `json:"sha256"`
			Imported bool   `json:"imported,omitempty"`
		}{hash, imported})
	}
	line := fmt.Sprintf("{id: s1, sha256: %q}", hash)
	if imported {
		line = fmt.Sprintf("{id: s1, sha256: %q, imported: true}", hash)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "registry file, below the client's \"secrets\":\n\n  - %s\n", line)
	return err
}

// readSecret reads a secret from standard input, and returns whether a line break follows it. At a terminal it asks for the
// secret, and does not show what is typed.
func readSecret(cmd *cobra.Command) (secret string, lineBreak bool, _ error) {
	var text []byte
	var err error
	if in, ok := cmd.InOrStdin().(*os.File); ok && isatty.IsTerminal(in.Fd()) {
		fmt.Fprint(cmd.ErrOrStderr(), "Secret: ")
		text, err = term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(cmd.ErrOrStderr())
	} else {
		text, err = io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<16))
	}
	if err != nil {
		return "", false, fmt.Errorf("reading the secret: %w", err)
	}
	secret, err = trimmedSecret(string(text))
	return secret, secret != string(text), err
}

// trimmedSecret removes the line break at the end of a file, as shells do. It reports other white space, which a program
// that reads the file may take for a part of the secret.
func trimmedSecret(text string) (string, error) {
	secret := strings.TrimSuffix(text, "\n")
	bare := strings.Trim(secret, " \t\r\n\v\f\u0085\u00a0\u200b\ufeff")
	switch {
	case bare == "":
		return "", api.Invalid("nothing was read: the secret is read from standard input")
	case bare == secret:
		return secret, nil
	case strings.HasPrefix(secret, "\ufeff"):
		return "", api.Invalid("a byte order mark precedes the secret: some programs take it for a part of the secret")
	case secret == bare+"\r":
		return "", api.Invalid("a carriage return follows the secret, as in files of Windows: some programs take it for a part of the secret")
	case strings.HasSuffix(secret, bare):
		return "", api.Invalid("white space precedes the secret: some programs take it for a part of the secret")
	case strings.HasPrefix(secret, bare):
		return "", api.Invalid("white space follows the secret: some programs take it for a part of the secret")
	}
	return "", api.Invalid("white space precedes and follows the secret: some programs take it for a part of the secret")
}
