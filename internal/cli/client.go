package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

func (h *Host) clientCommand() *cobra.Command {
	return group("client", "Administers the clients of a running server", `  $ caddy m2m client create ci-bot --description 'Nightly import' --grant 'book:*:read'
  $ caddy m2m client list --prefix ci-
  $ caddy m2m client disable ci-bot --revoke`,
		h.createClientCommand(),
		h.listClientsCommand(),
		getCommand(h, &cobra.Command{Use: "show <id>", Short: "Shows a client", Args: cobra.ExactArgs(1)}, "/clients%s", (*session).printClient),
		h.updateClientCommand(),
		h.setDisabledCommand("disable", "Refuses every credential of a client, from the next request on"),
		h.setDisabledCommand("enable", "Undoes disable"),
		h.clientKeyCommand(),
		h.deleteCommand("client", "Deletes a client with its secrets and grants", "/clients"))
}

func (h *Host) createClientCommand() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "create <id> [flags]",
		Short: "Creates a client, and prints its secret once",
		Long: `
Creates a client that can ask for tokens, with a secret that is printed once: the
server keeps only its SHA-256. A grant is a scope, resource:identifier:action.`,
		Example: `  $ caddy m2m client create ci-bot --grant 'book:*:read'
  $ caddy m2m client create ci-bot --format json | jq -r .client_secret > client-secret`,
		Args: cobra.ExactArgs(1),
	}
	flags.add(cmd)
	cmd.Flags().StringArrayVar(&flags.grants, "grant", nil, "scope to grant; may be repeated")
	cmd.Flags().StringArrayVar(&flags.denials, "deny", nil, "scope to deny, whatever else grants it; may be repeated")
	cmd.Flags().BoolVar(&flags.noSecret, "no-secret", false, "create it without a secret; implied by flags for another credential")
	cmd.Flags().StringVar(&flags.secretExpires, "secret-expires", "", "when the secret expires: a time as in RFC 3339, or a duration from now")
	cmd.Flags().BoolVar(&flags.disabled, "disabled", false, "create it disabled")
	return h.administer(cmd, func(s *session, args []string) error { return flags.create(s, args[0]) })
}

func (f *clientFlags) create(s *session, id string) error {
	body, err := f.fields(s.cmd)
	if err != nil {
		return err
	}
	body["id"], body["secret"], body["disabled"] = id, !f.noSecret && !f.hasOtherCredential(), f.disabled
	if err := setTime(body, "secret_expires", f.secretExpires); err != nil {
		return err
	}
	var grants []api.Grant
	for i, text := range slices.Concat(f.grants, f.denials) {
		effect := api.Effect(i >= len(f.grants))
		parsed, _, err := api.ScopeGrant{Scope: text, Effect: effect}.Parse()
		if err != nil {
			return err
		}
		grants = append(grants, api.Grant{
			Resource: parsed.Resource, Identifiers: []string{parsed.Identifier}, Actions: []string{parsed.Action}, Effect: effect,
		})
	}
	if grants != nil {
		body["grants"] = grants
	}
	return ask(s, http.MethodPost, "/clients", nil, body, func(s *session, made api.CreatedSecret) {
		s.printf("client_id      %s\n", printable(made.ClientID))
		if made.ClientSecret == "" && made.Client.HoldsOtherCredential() {
			return
		}
		if made.ClientSecret == "" {
			s.printf("It has no secret yet: %s m2m secret create %s\n", programName(), shellWord(id))
			return
		}
		s.printf("client_secret  %s\n\nThe secret is shown only once. To try it, paste it at the first line:\n\n", made.ClientSecret)
		s.printf("  read -rs CLIENT_SECRET\n  %s\n", s.tryLine(id, f.scopesToTry()))
		if state := made.Client.State(); state != "enabled" {
			s.printf("\nThe client is %s: until it is enabled it gets no token.\n", state)
		}
	})
}

func (s *session) printClient(c *api.Client) {
	rows := [][]string{
		{"id", c.ID}, {"state", c.State()}, {"description", orDash(c.Description)},
		{"expires", timeOr(c.Expires, "never")}, {"token_ttl", orDash(c.TokenTTL)},
		{"attributes", compactJSON(c.Attributes)}, {"audiences", orDash(strings.Join(c.Audiences, " "))},
		{"introspects", orDash(strings.Join(c.Introspects, " "))},
		{"networks", orDash(strings.Trim(fmt.Sprint(c.Networks), "[]"))}, {"limits", c.Limits.String()},
	}
	for _, row := range [][]string{{"auth", c.Auth}, {"jwks_uri", c.JWKSURI}, {"certificate", c.Certificate.Shown()}, {"tokens", boundOf(c)}} {
		if row[1] != "" {
			rows = append(rows, row)
		}
	}
	s.table(rows...)
	s.printCredentials(c)
	if len(c.Grants) == 0 {
		s.hintGrants(c.ID)
	} else {
		s.printf("\n")
		rows := [][]string{{"EFFECT", "RESOURCE", "IDENTIFIERS", "ACTIONS"}}
		for _, g := range c.Grants {
			rows = append(rows, []string{g.Effect, g.Resource, strings.Join(g.Identifiers, " "), strings.Join(g.Actions, " ")})
		}
		s.table(rows...)
	}
}

// boundOf returns what the client's tokens are bound to.
func boundOf(c *api.Client) string {
	var to []string
	if c.CertificateBound {
		to = append(to, "bound to its certificate")
	}
	if c.DPoPBound {
		to = append(to, "bound to the key of a DPoP proof")
	}
	return strings.Join(to, ", ")
}

// printCredentials prints the secrets, the keys and the identities of a client.
func (s *session) printCredentials(c *api.Client) {
	if len(c.Secrets) > 0 {
		s.printf("\n")
		s.printSecrets(api.SecretList{Secrets: c.Secrets})
	}
	if len(c.Keys) > 0 {
		s.printf("\n")
		s.printClientKeys(c.Keys)
	}
	if len(c.Identities) > 0 {
		s.printf("\n")
		rows := [][]string{{"ISSUER", "SUBJECT", "TYPE", "CLAIMS"}}
		for _, i := range c.Identities {
			claims := "-"
			if len(i.Claims) > 0 {
				claims = compactJSON(i.Claims)
			}
			rows = append(rows, []string{i.Issuer, i.Subject + i.SubjectPattern, i.Type, claims})
		}
		s.table(rows...)
	}
	if len(c.Unused) > 0 {
		s.warnf("The client may only use %s: it has credentials for %s, which have no effect.\n", c.Auth, strings.Join(c.Unused, ", "))
	}
	if len(c.Excluded) > 0 {
		s.warnf("The client cannot authenticate: it has credentials for %s, which the issuer's auth_methods excludes.\n", strings.Join(c.Excluded, ", "))
	}
	if len(c.Secrets) == 0 && !c.HoldsOtherCredential() {
		s.hintSecrets(c.ID)
	}
}

func (h *Host) updateClientCommand() *cobra.Command {
	var flags clientFlags
	var clear []string
	cmd := &cobra.Command{
		Use:   "update <id> [flags]",
		Short: "Changes fields of a client; secrets and grants have commands of their own",
		Long: `
Changes the given fields and keeps the others. --attribute sets one attribute and
keeps the other attributes. --audience, --introspects and --network replace all
values of their field, so repeat the values to keep. So does --identity. --rate, --burst and --concurrent
each change one limit; --clear limits restores the issuer's.`,
		Example: `  $ caddy m2m client update ci-bot --token-ttl 2m --attribute team=search
  $ caddy m2m client update ci-bot --clear networks --clear expires`,
		Args: cobra.ExactArgs(1),
	}
	flags.add(cmd)
	cmd.Flags().StringArrayVar(&flags.removedAttributes, "remove-attribute", nil, "attribute to remove; may be repeated")
	cmd.Flags().StringArrayVar(&clear, "clear", nil, "field to clear: "+strings.Join(clearable, ", ")+"; may be repeated")
	return h.administer(cmd, func(s *session, args []string) error {
		patch, err := flags.fields(cmd)
		if err != nil {
			return err
		}
		for _, field := range clear {
			field = strings.ReplaceAll(field, "-", "_")
			if !slices.Contains(clearable, field) {
				return api.Invalid("--clear %q is not a field that can be cleared", field)
			}
			if _, both := patch[field]; both {
				return api.Invalid("--clear %s contradicts the flag that sets it", field)
			}
			patch[field] = nil
		}
		if len(patch) == 0 {
			return api.Invalid("nothing to change: give a flag")
		}
		return ask(s, http.MethodPatch, "/clients"+segment(args[0]), nil, patch, (*session).printClient)
	})
}

// clearable are the fields that update can clear.
var clearable = []string{
	"description", "attributes", "token_ttl", "expires", "audiences", "introspects", "networks", "limits", "auth", "jwks", "jwks_uri", "identities",
	"tls_client_auth_subject_dn", "tls_client_auth_san_dns", "tls_client_auth_san_uri", "tls_client_auth_san_ip", "tls_client_auth_san_email",
}

func (h *Host) setDisabledCommand(verb, short string) *cobra.Command {
	var revoke bool
	cmd := &cobra.Command{Use: verb + " <id>", Short: short, Args: cobra.ExactArgs(1)}
	if verb == "disable" {
		cmd.Flags().BoolVar(&revoke, "revoke", false, "also revoke its tokens, which are otherwise valid until they expire")
	}
	return h.administer(cmd, func(s *session, args []string) error {
		var c api.Client
		if err := s.call(http.MethodPost, "/clients"+segment(args[0])+"/"+verb, nil, nil, &c); err != nil {
			return err
		}
		var made api.CreatedRevocation
		if revoke { // after disable, so that it cannot get new ones
			if err := s.call(http.MethodPost, "/revocations", nil, map[string]any{"client_id": c.ID}, &made); err != nil {
				return fmt.Errorf("the client is disabled, and its tokens are not revoked: %w", err)
			}
		}
		return s.print(&c, func() {
			s.printf("client %s is %s\n", printable(c.ID), c.State())
			if revoke {
				s.printRevocation(made)
			}
		})
	})
}

func (h *Host) listClientsCommand() *cobra.Command {
	var prefix, after string
	var limit int
	cmd := &cobra.Command{Use: "list [flags]", Short: "Lists clients", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only clients whose ID has this prefix")
	cmd.Flags().StringVar(&after, "after", "", "only clients after this ID, in byte order")
	cmd.Flags().IntVar(&limit, "limit", 0, "maximum number of clients; 0 means all")
	return h.administer(cmd, func(s *session, _ []string) error {
		if limit < 0 {
			return api.Invalid("--limit is negative")
		}
		list := api.ClientList{Clients: []*api.Client{}, Next: after}
		for more := true; more; more = list.Next != "" && (limit == 0 || len(list.Clients) < limit) {
			size := 1000
			if limit > 0 {
				size = min(size, limit-len(list.Clients))
			}
			var page api.ClientList
			query := url.Values{"prefix": {prefix}, "after": {list.Next}, "limit": {strconv.Itoa(size)}}
			if err := s.call(http.MethodGet, "/clients", query, nil, &page); err != nil {
				return err
			}
			list.Clients, list.Next = append(list.Clients, page.Clients...), page.Next
		}
		return s.print(list, func() {
			rows := [][]string{{"ID", "STATE", "SECRETS", "GRANTS", "DESCRIPTION"}}
			for _, c := range list.Clients {
				rows = append(rows, []string{c.ID, c.State(), strconv.Itoa(c.LiveSecrets()), strconv.Itoa(len(c.Grants)), c.Description})
			}
			s.table(rows...)
			switch {
			case len(list.Clients) > 0:
			case prefix != "" || after != "":
				s.warnf("No client matches: leave out --prefix and --after to list all.\n")
			default:
				s.warnf("There are no clients yet. To create one: %s m2m client create <id> --grant <scope>\n", programName())
			}
			if list.Next != "" {
				s.warnf("There are more: --after %s\n", shellWord(list.Next))
			}
		})
	})
}
