package cli

import (
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

func (h *Host) revokeCommand() *cobra.Command {
	var jti, client, expires, before string
	cmd := &cobra.Command{
		Use:   "revoke --jti <id> | --client <id> [flags]",
		Short: "Revokes a token, or all tokens of a client, before they expire",
		Long: `
Revokes one token by its jti, which is in the logs and in the output of "caddy m2m
inspect", or all tokens that were issued to a client up to now. This server refuses
them at once, and others that share its storage within 2 seconds.

The client can still get new tokens unless it is disabled: see "caddy m2m client
disable --revoke". A token that it gets in the same second is revoked, too. A
revocation cannot be undone. It also works with a registry file.`,
		Example: `  $ caddy m2m revoke --client ci-bot
  $ caddy m2m revoke --jti 7DK77EKL33GKLTX4GJK4P7SLVR --expires 10m`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&jti, "jti", "", "ID of a token, not the token itself")
	flags.StringVar(&expires, "expires", "", "when that token expires: a time as in RFC 3339, or a duration from now (default: 24h, the longest that one lives)")
	flags.StringVar(&client, "client", "", "client whose tokens to revoke")
	flags.StringVar(&before, "before", "", "only tokens issued up to then: a time as in RFC 3339, or a duration such as -1h (default: now; at most 5m ahead, for nodes with fast clocks)")
	return h.administer(cmd, func(s *session, _ []string) error {
		body := make(map[string]any)
		switch {
		case (jti == "") == (client == ""):
			return api.Invalid("either --jti or --client is needed")
		case api.LooksLikeToken(jti):
			return api.Invalid("--jti is the ID of a token, and not the token, which others can now see in the list of processes")
		case jti != "" && before != "" || client != "" && expires != "":
			return api.Invalid("--expires goes with --jti, and --before with --client")
		case jti != "":
			body["jti"] = jti
		default:
			body["client_id"] = client
		}
		for name, text := range map[string]string{"expires": expires, "before": before} {
			if err := setTime(body, name, text); err != nil {
				return err
			}
		}
		return ask(s, http.MethodPost, "/revocations", nil, body, (*session).printRevocation)
	})
}

func (s *session) printRevocation(made api.CreatedRevocation) {
	if made.JTI != "" {
		s.printf("token %s is revoked\n", printable(made.JTI))
		if !token.IsID(made.JTI) {
			s.warnf("Token IDs have 26 capital letters and digits: check this one.\n")
		}
		return
	}
	s.printf("tokens of %s that were issued up to %s are revoked\n", printable(made.ClientID), made.Before.UTC().Format(time.RFC3339))
	if made.KnownClient != nil && !*made.KnownClient {
		s.warnf("There is no client %s in the registry: check the name.\n", printable(made.ClientID))
	}
}
