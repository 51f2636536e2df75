package cli

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

func (h *Host) grantCommand() *cobra.Command {
	list := &cobra.Command{Use: "list <client>", Short: "Lists the grants of a client", Args: cobra.ExactArgs(1)}
	return group("grant", "Administers what clients may do", `  $ caddy m2m grant add ci-bot 'book:*:read' 'book:*:edit'
  $ caddy m2m grant add ci-bot 'book:secret-*:*' --deny
  $ caddy m2m grant list ci-bot`,
		h.addGrantCommand(), getCommand(h, list, "/clients%s/grants", (*session).printGrants), h.removeGrantCommand())
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
	return ask(s, method, "/clients"+segment(client)+"/grants", query, body, func(s *session, answer api.ChangedGrants) {
		s.printGrants(api.GrantList{Grants: answer.Grants})
	})
}

func (s *session) printGrants(list api.GrantList) {
	rows := [][]string{{"EFFECT", "SCOPE"}}
	for _, g := range list.Grants {
		rows = append(rows, []string{g.Effect, g.Scope})
	}
	s.table(rows...)
	if len(list.Grants) == 0 {
		s.hintGrants(s.cmd.Flags().Arg(0))
	}
}

func (s *session) hintGrants(client string) {
	s.warnf("The client has no grants, so it gets no scope. To add one: %s m2m grant add %s <scope>\n", programName(), shellWord(client))
}
