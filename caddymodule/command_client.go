package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func clientCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "client <command>", Short: "Administers the clients of a running server"}
	makeGroup(cmd, createClientCommand(), listClientsCommand(), showClientCommand(), updateClientCommand(),
		setDisabledCommand("disable", "Makes every secret of a client a wrong one, from the next request on"),
		setDisabledCommand("enable", "Undoes disable"),
		deleteCommand("client", "Deletes a client with its secrets and grants", "/clients"))
	return cmd
}

func createClientCommand() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "create <id> [flags]",
		Short: "Creates a client, and prints its secret this once",
		Long: `
Creates a client that may ask for tokens, with a secret that is printed this once:
the server keeps its SHA-256. A grant is a scope, resource:identifier:action.`,
		Example: `  $ caddy m2m client create ci-bot --grant 'book:*:read'
  $ caddy m2m client create ci-bot --format json | jq -r .client_secret > client-secret`,
		Args: cobra.ExactArgs(1),
	}
	flags.add(cmd)
	cmd.Flags().StringArrayVar(&flags.grants, "grant", nil, "scope that the client may have; may be repeated")
	cmd.Flags().StringArrayVar(&flags.denials, "deny", nil, "scope that the client may not have, whatever else allows it; may be repeated")
	cmd.Flags().BoolVar(&flags.noSecret, "no-secret", false, "make no secret")
	cmd.Flags().StringVar(&flags.secretExpires, "secret-expires", "", "when the secret ends: a time as in RFC 3339, or a duration from now")
	cmd.Flags().BoolVar(&flags.disabled, "disabled", false, "create it disabled")
	return administer(cmd, func(s *session, args []string) error { return flags.create(s, args[0]) })
}

func (f *clientFlags) create(s *session, id string) error {
	body, err := f.fields(s.cmd)
	if err != nil {
		return err
	}
	body["id"], body["secret"], body["disabled"] = id, !f.noSecret, f.disabled
	if f.secretExpires != "" {
		if body["secret_expires"], err = timeFlag(f.secretExpires); err != nil {
			return err
		}
	}
	var grants []grantView
	for _, effect := range []struct {
		name   string
		scopes []string
	}{{"allow", f.grants}, {"deny", f.denials}} {
		for _, text := range effect.scopes {
			parsed, _, err := scopeGrant{text, effect.name}.read()
			if err != nil {
				return &exitError{exitInvalid, fmt.Errorf("%q: %w", text, err)}
			}
			grants = append(grants, grantView{parsed.Resource, []string{parsed.Identifier}, []string{parsed.Action}, effect.name})
		}
	}
	if grants != nil {
		body["grants"] = grants
	}
	var made madeSecret
	if err := s.call(http.MethodPost, "/clients", nil, body, &made); err != nil {
		return err
	}
	return s.print(made, func() {
		s.printf("client_id      %s\n", printable(made.ClientID))
		if made.ClientSecret == "" {
			s.printf("It has no secret yet: caddy m2m secret create %s\n", shellWord(id))
			return
		}
		s.printf("client_secret  %s\n\nThe secret is shown this once. To try it, paste it at the first line:\n\n", made.ClientSecret)
		s.printf("  read -rs CLIENT_SECRET\n  %s\n", s.tryLine(id, f.grants))
	})
}

// tryLine is the curl line that asks for a token, with the secret in a variable.
func (s *session) tryLine(id string, scopes []string) string {
	var known struct {
		Issuers []struct {
			Issuer        string `json:"issuer"`
			TokenEndpoint string `json:"token_endpoint"`
		} `json:"issuers"`
	}
	endpoint := "<token endpoint>"
	chosen := s.flags.issuer
	s.flags.issuer = ""
	if err := s.call(http.MethodGet, "/issuers", nil, nil, &known); err == nil {
		for _, i := range known.Issuers {
			if chosen == "" || i.Issuer == chosen {
				endpoint = i.TokenEndpoint
			}
		}
	}
	s.flags.issuer = chosen
	scope := strings.Join(scopes, " ")
	if scope == "" {
		scope = "<scope>"
	}
	user := `"` + id + `:$CLIENT_SECRET"`
	if shellWord(id) != id {
		user = shellWord(id+":") + `"$CLIENT_SECRET"`
	}
	return fmt.Sprintf("curl -s %s -u %s -d grant_type=client_credentials --data-urlencode %s",
		shellWord(endpoint), user, shellWord("scope="+scope))
}

// shellWord is a text as a shell reads it back.
func shellWord(text string) string {
	safe := func(r rune) bool {
		return r < 128 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@,", r))
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !safe(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func listClientsCommand() *cobra.Command {
	var prefix string
	var limit int
	cmd := &cobra.Command{Use: "list [flags]", Short: "Lists clients", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only those whose id begins so")
	cmd.Flags().IntVar(&limit, "limit", 0, "how many at most (default: all)")
	return administer(cmd, func(s *session, _ []string) error {
		if limit < 0 {
			return errors.New("--limit is negative")
		}
		clients := []*clientView{}
		query := url.Values{"prefix": {prefix}}
		for {
			size := 1000
			if limit > 0 {
				size = min(size, limit-len(clients))
			}
			query.Set("limit", strconv.Itoa(size))
			var page struct {
				Clients []*clientView `json:"clients"`
				Next    string        `json:"next"`
			}
			if err := s.call(http.MethodGet, "/clients", query, nil, &page); err != nil {
				return err
			}
			clients = append(clients, page.Clients...)
			if page.Next == "" || limit > 0 && len(clients) >= limit {
				break
			}
			query.Set("after", page.Next)
		}
		return s.print(map[string]any{"clients": clients}, func() {
			rows := [][]string{{"ID", "STATE", "SECRETS", "GRANTS", "DESCRIPTION"}}
			for _, c := range clients {
				rows = append(rows, []string{c.ID, c.state(), c.liveSecrets(), strconv.Itoa(len(c.Grants)), c.Description})
			}
			s.table(rows...)
		})
	})
}

func (c *clientView) state() string {
	switch {
	case c.Disabled:
		return "disabled"
	case !c.Expires.IsZero() && !time.Now().Before(c.Expires):
		return "expired"
	}
	return "enabled"
}

func (c *clientView) liveSecrets() string {
	live := 0
	for _, s := range c.Secrets {
		if s.Live {
			live++
		}
	}
	return strconv.Itoa(live)
}

func showClientCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show <id>", Short: "Shows a client", Args: cobra.ExactArgs(1)}
	return administer(cmd, func(s *session, args []string) error {
		var c clientView
		if err := s.call(http.MethodGet, "/clients"+segment(args[0]), nil, nil, &c); err != nil {
			return err
		}
		return s.printClient(&c)
	})
}

func (s *session) printClient(c *clientView) error {
	return s.print(c, func() {
		s.table(
			[]string{"id", c.ID}, []string{"state", c.state()}, []string{"description", orDash(c.Description)},
			[]string{"expires", timeOr(c.Expires, "never")}, []string{"token_ttl", orDash(c.TokenTTL)},
			[]string{"attributes", compactJSON(c.Attributes)}, []string{"audiences", orDash(strings.Join(c.Audiences, " "))},
			[]string{"networks", networksText(c)})
		if len(c.Secrets) > 0 {
			s.printf("\n")
			s.table(secretRows(c.Secrets)...)
		}
		if len(c.Grants) > 0 {
			s.printf("\n")
			rows := [][]string{{"EFFECT", "RESOURCE", "IDENTIFIERS", "ACTIONS"}}
			for _, g := range c.Grants {
				rows = append(rows, []string{g.Effect, g.Resource, strings.Join(g.Identifiers, " "), strings.Join(g.Actions, " ")})
			}
			s.table(rows...)
		}
	})
}

func networksText(c *clientView) string {
	var texts []string
	for _, n := range c.Networks {
		texts = append(texts, n.String())
	}
	return orDash(strings.Join(texts, " "))
}

func updateClientCommand() *cobra.Command {
	var flags clientFlags
	var clear []string
	cmd := &cobra.Command{
		Use:   "update <id> [flags]",
		Short: "Changes fields of a client; secrets and grants have commands of their own",
		Example: `  $ caddy m2m client update ci-bot --token-ttl 2m --attribute team=search
  $ caddy m2m client update ci-bot --clear networks --clear expires`,
		Args: cobra.ExactArgs(1),
	}
	flags.add(cmd)
	cmd.Flags().StringArrayVar(&clear, "clear", nil, "field to take away: description, attributes, token_ttl, expires, audiences or networks; may be repeated")
	return administer(cmd, func(s *session, args []string) error {
		patch, err := flags.fields(cmd)
		if err != nil {
			return err
		}
		for _, field := range clear {
			field = strings.ReplaceAll(field, "-", "_")
			if !strings.Contains(" description attributes token_ttl expires audiences networks ", " "+field+" ") {
				return fmt.Errorf("--clear %q is no field that can be taken away", field)
			}
			patch[field] = nil
		}
		if len(patch) == 0 {
			return errors.New("nothing to change: give a flag")
		}
		var c clientView
		if err := s.call(http.MethodPatch, "/clients"+segment(args[0]), nil, patch, &c); err != nil {
			return err
		}
		return s.printClient(&c)
	})
}

func setDisabledCommand(verb, short string) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " <id>", Short: short, Args: cobra.ExactArgs(1)}
	return administer(cmd, func(s *session, args []string) error {
		var c clientView
		if err := s.call(http.MethodPost, "/clients"+segment(args[0])+"/"+verb, nil, nil, &c); err != nil {
			return err
		}
		return s.print(&c, func() { s.printf("client %s is %s\n", printable(c.ID), c.state()) })
	})
}
