package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

func (h *Host) grantCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "grant <command>", Short: "Administers what clients may do"}
	makeGroup(cmd, h.addGrantCommand(), h.listGrantsCommand(), h.removeGrantCommand())
	return cmd
}

func (h *Host) addGrantCommand() *cobra.Command {
	var deny bool
	cmd := &cobra.Command{
		Use:     "add <client> <scope>... [flags]",
		Short:   "Grants scopes to a client, or denies them: all of them or none",
		Example: `  $ caddy m2m grant add ci-bot 'book:*:edit'`,
		Args:    cobra.MinimumNArgs(2),
	}
	cmd.Flags().BoolVar(&deny, "deny", false, "deny the scopes, whatever else grants them")
	return h.administer(cmd, func(s *session, args []string) error {
		body := map[string]any{"scopes": args[1:], "effect": api.Effect(deny)}
		return s.changeGrants(http.MethodPost, args[0], nil, body)
	})
}

func (h *Host) removeGrantCommand() *cobra.Command {
	var deny bool
	cmd := &cobra.Command{
		Use:   "remove <client> <scope>... [flags]",
		Short: "Removes grants or denials from a client: all of them or none",
		Args:  cobra.MinimumNArgs(2),
	}
	cmd.Flags().BoolVar(&deny, "deny", false, "remove denials")
	return h.administer(cmd, func(s *session, args []string) error {
		return s.changeGrants(http.MethodDelete, args[0], url.Values{"scope": args[1:], "effect": {api.Effect(deny)}}, nil)
	})
}

// changeGrants makes all changes or none, and prints the grants that result.
func (s *session) changeGrants(method, client string, query url.Values, body any) error {
	var answer api.ChangedGrants
	if err := s.call(method, "/clients"+segment(client)+"/grants", query, body, &answer); err != nil {
		return err
	}
	return s.print(answer, func() { s.table(grantRows(answer.Grants)...) })
}

func (h *Host) listGrantsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list <client>", Short: "Lists the grants of a client", Args: cobra.ExactArgs(1)}
	return h.administer(cmd, func(s *session, args []string) error {
		var answer api.GrantList
		if err := s.call(http.MethodGet, "/clients"+segment(args[0])+"/grants", nil, nil, &answer); err != nil {
			return err
		}
		return s.print(answer, func() { s.table(grantRows(answer.Grants)...) })
	})
}

func grantRows(grants []api.ScopeGrant) [][]string {
	rows := [][]string{{"EFFECT", "SCOPE"}}
	for _, g := range grants {
		rows = append(rows, []string{g.Effect, g.Scope})
	}
	return rows
}
