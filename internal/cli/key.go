package cli

import (
	"errors"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

func (h *Host) keyCommand() *cobra.Command {
	list := &cobra.Command{
		Use:   "list [flags]",
		Short: "Lists signing keys and their states, as storage has them now",
		Long: `
Lists an issuer's signing keys. The next key is published and does not sign yet. The
active key signs. A retired key is published until its last token has expired. A
revoked key is refused.`,
		Args: cobra.NoArgs,
	}
	return group("key", "Works with the keys that sign tokens", "  $ caddy m2m key list\n  $ caddy m2m key rotate", getCommand(h, list, "/keys", (*session).printKeys), h.rotateKeyCommand())
}

func (s *session) printKeys(list api.KeyList) {
	rows := [][]string{{"KEY", "ALG", "STATE", "CREATED", "SIGNS FROM", "GONE AFTER", "REASON"}}
	for _, key := range list.Keys {
		rows = append(rows, []string{
			key.KID, key.Alg, key.State, timeOr(key.Created, "-"), timeOr(key.SignsFrom, "-"), timeOr(key.Until, "-"), key.RevokedReason,
		})
	}
	s.table(rows...)
	if list.Problem != "" {
		s.printf("\n%s\n", printableLines(list.Problem))
	}
}

// whatNowBreaks is printed before --now asks for confirmation.
const whatNowBreaks = `All keys of the issuer are revoked, and a new one signs at once.
  - Every token that is out is refused: here at once, on nodes that share this storage within
    5 seconds, and by m2m_auth elsewhere within some 15. Clients get 401 until they ask for
    new tokens.
  - Other programs that verify tokens with the published keys may cache them. Those that follow
    max-age accept old tokens, and refuse new ones, for up to 5 minutes.
`

func (h *Host) rotateKeyCommand() *cobra.Command {
	var now, yes bool
	var reason string
	cmd := &cobra.Command{
		Use:   "rotate [flags]",
		Short: "Makes the next signing key now, or replaces a leaked one",
		Long: `
Makes the next signing key before it is due. It is published now and signs in about ten
minutes, when every cache of the published keys has it. The active key then stays
published until its last token has expired. Nothing breaks.

With --now, for a leaked key: ` + "\n" + whatNowBreaks,
		Example: `  $ caddy m2m key rotate
  $ caddy m2m key rotate --now --reason 'backup of the storage was public'`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&now, "now", false, "revoke all keys, and sign with a new one at once")
	cmd.Flags().StringVar(&reason, "reason", "", "reason for the audit log and the list; required with --now")
	cmd.Flags().BoolVar(&yes, "yes", false, "skip the confirmation")
	return h.administer(cmd, func(s *session, _ []string) error {
		switch {
		case now && strings.TrimSpace(reason) == "":
			return api.Invalid("--now requires a --reason")
		case !now && reason != "":
			return api.Invalid("--reason goes with --now")
		}
		if now && !yes {
			s.warnf(whatNowBreaks)
			if !s.confirm("Revoke all keys?") {
				return errors.New("nothing was changed; --yes skips the question")
			}
		}
		body := map[string]any{"now": now}
		if now {
			body["reason"] = reason
		}
		return ask(s, http.MethodPost, "/keys/rotate", nil, body, func(s *session, done api.KeyRotation) {
			s.printf("key %s signs from %s\n", done.Key.KID, timeOr(done.Key.SignsFrom, "-"))
			for _, kid := range done.Revoked {
				s.printf("key %s is revoked\n", kid)
			}
		})
	})
}
