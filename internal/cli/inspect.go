package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// inspectFlags are the flags of `caddy m2m inspect`.
type inspectFlags struct {
	issuer, file          string
	audience, jwksOrigins []string
}

func (h *Host) inspectCommand() *cobra.Command {
	var flags inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect [flags] < token",
		Short: "Verifies a token against its issuer's keys and prints it",
		Long: `
Reads a token from standard input or --token-file, finds its issuer's keys by
discovery, and checks what m2m_auth checks: form, signature, type, times, issuer
and, with --audience, the audience. The header and the claims go to standard output
as JSON, even if the token is not valid. The verdict goes to standard error.

The keys are fetched from the issuer's own origin. If its jwks_uri is on another
origin, name that one with --jwks-origin.

The exit code is 0 for a valid token, 1 for one that is not valid, 5 if a flag is
wrong, and 6 if the token could not be verified because its issuer's keys could not be
fetched. Without --issuer the command takes the issuer that the token names, so check
that the printed issuer is yours.`,
		Example: `  $ caddy m2m token --issuer http://localhost:8080 book:read | caddy m2m inspect`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), commandTimeout)
			defer cancel()
			return flags.run(ctx, h, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&flags.issuer, "issuer", "", "URL of the issuer that the token must have")
	cmd.Flags().StringVar(&flags.file, "token-file", "", "file that contains the token (default: standard input)")
	cmd.Flags().StringArrayVar(&flags.audience, "audience", nil, "audience that the token must have; any one of them if repeated")
	cmd.Flags().StringArrayVar(&flags.jwksOrigins, "jwks-origin", nil, "origin, besides the issuer's own, where its keys may be; may be repeated")
	return cmd
}

func (f *inspectFlags) run(ctx context.Context, h *Host, in io.Reader, out, log io.Writer) error {
	raw, err := tokenFrom(f.file, in)
	if err != nil {
		return err
	}
	unverified, err := token.Decode(raw)
	if err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(unverified); err != nil {
		return err
	}
	if err := f.verify(ctx, h, raw, unverified); err != nil {
		return err
	}
	fmt.Fprintf(log, "valid: issued by %s\n", f.issuer)
	return nil
}

// verify says that the token is not valid, or that this could not be found out.
func (f *inspectFlags) verify(ctx context.Context, h *Host, raw string, unverified *token.Unverified) error {
	if f.issuer == "" {
		f.issuer = unverified.Issuer()
	}
	if len(f.audience) == 0 {
		f.audience = unverified.Audience()
	}
	for _, origin := range f.jwksOrigins {
		if err := discovery.CheckOrigin(origin, f.issuer); err != nil {
			return api.Invalid("--jwks-origin %v", err)
		}
	}
	kid, err := token.KeyID(raw)
	switch {
	case err != nil:
		return notValid(err)
	case f.issuer == "":
		return notValid(errors.New("the token names no issuer"))
	case unverified.Issuer() != f.issuer:
		return notValid(fmt.Errorf("%s: the token names the issuer %s", token.WrongIssuer, textOr(unverified.Issuer(), "\"\"")))
	}
	keys, err := h.Keys(ctx, f.issuer, f.jwksOrigins, kid)
	if err != nil {
		why := strings.Replace(err.Error(), "jwks_origin", "--jwks-origin", 1) // as this command calls it
		return &exitError{exitUnavailable, fmt.Errorf("could not verify: %s", printableLines(why))}
	}
	expect := token.Expect{Issuer: f.issuer, Audiences: f.audience, Leeway: token.DefaultLeeway}
	expect.Bound = true // the claims show cnf, and the token gives access to nothing here
	_, err = token.Verify(raw, keys, expect)
	if err != nil {
		return notValid(err)
	}
	return nil
}

func notValid(err error) error { return fmt.Errorf("NOT VALID: %w", err) }
