package cli

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

func (h *Host) resourceCommand() *cobra.Command {
	show := &cobra.Command{Use: "show <code>", Short: "Shows a resource", Args: cobra.ExactArgs(1)}
	return group("resource", "Administers the resources of a running server",
		`  $ caddy m2m resource create book --description Books --action read=Read --action edit=Edit
  $ caddy m2m resource list
  $ caddy m2m resource update book --action 'delete=Remove a book'`,
		h.createResourceCommand(), h.listResourcesCommand(), getCommand(h, show, "/resources%s", (*session).printResource), h.updateResourceCommand(),
		h.deleteCommand("resource", "Deletes a resource that no grant names", "/resources"))
}

// resourceFlags are the fields of a resource.
type resourceFlags struct {
	description, audience   string
	actions, removedActions []string
}

func (f *resourceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.description, "description", "", "description for people")
	cmd.Flags().StringVar(&f.audience, "audience", "", "aud of its tokens (default: the issuer's)")
	cmd.Flags().StringArrayVar(&f.actions, "action", nil, "name=description of an action; may be repeated")
}

// fields are the given fields, as the API takes them; null removes.
func (f *resourceFlags) fields(cmd *cobra.Command) (map[string]any, error) {
	fields := make(map[string]any)
	if cmd.Flags().Changed("description") {
		fields["description"] = f.description
	}
	if cmd.Flags().Changed("audience") {
		fields["audience"] = f.audience
		if f.audience == "" {
			fields["audience"] = nil
		}
	}
	asIs := func(text string) any { return text }
	return fields, setMembers(fields, "action", "description", f.actions, f.removedActions, asIs)
}

func (h *Host) createResourceCommand() *cobra.Command {
	var flags resourceFlags
	cmd := &cobra.Command{
		Use:     "create <code> [flags]",
		Short:   "Creates a resource, with the actions that scopes can name",
		Example: `  $ caddy m2m resource create book --description Books --action read=Read --action edit=Edit`,
		Args:    cobra.ExactArgs(1),
	}
	flags.add(cmd)
	return h.administer(cmd, func(s *session, args []string) error {
		body, err := flags.fields(cmd)
		if err != nil {
			return err
		}
		body["code"] = args[0]
		return ask(s, http.MethodPost, "/resources", nil, body, (*session).printResource)
	})
}

func (h *Host) listResourcesCommand() *cobra.Command {
	var prefix string
	cmd := &cobra.Command{Use: "list [flags]", Short: "Lists resources", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only resources whose code has this prefix")
	return h.administer(cmd, func(s *session, _ []string) error {
		list := api.ResourceList{Resources: []*api.Resource{}}
		for more := true; more; more = list.Next != "" {
			var page api.ResourceList
			query := url.Values{"prefix": {prefix}, "after": {list.Next}, "limit": {"1000"}}
			if err := s.call(http.MethodGet, "/resources", query, nil, &page); err != nil {
				return err
			}
			list.Resources, list.Next = append(list.Resources, page.Resources...), page.Next
		}
		return s.print(list, func() {
			rows := [][]string{{"CODE", "ACTIONS", "AUDIENCE", "DESCRIPTION"}}
			for _, r := range list.Resources {
				rows = append(rows, []string{r.Code, strings.Join(slices.Sorted(maps.Keys(r.Actions)), " "), orDash(r.Audience), r.Description})
			}
			s.table(rows...)
			switch {
			case len(list.Resources) > 0:
			case prefix != "":
				s.warnf("No resource matches: leave out --prefix to list all.\n")
			default:
				s.warnf("There are no resources yet. To create one: %s m2m resource create <code> --action <name>=<description>\n", programName())
			}
		})
	})
}

func (s *session) printResource(r *api.Resource) {
	s.table([]string{"code", r.Code}, []string{"description", orDash(r.Description)}, []string{"audience", orDash(r.Audience)},
		[]string{"attributes", compactJSON(r.Attributes)})
	s.printf("\n")
	rows := [][]string{{"ACTION", "DESCRIPTION"}}
	for _, name := range slices.Sorted(maps.Keys(r.Actions)) {
		rows = append(rows, []string{name, r.Actions[name]})
	}
	s.table(rows...)
}

func (h *Host) updateResourceCommand() *cobra.Command {
	var flags resourceFlags
	cmd := &cobra.Command{Use: "update <code> [flags]", Short: "Changes a resource", Args: cobra.ExactArgs(1)}
	flags.add(cmd)
	cmd.Flags().StringArrayVar(&flags.removedActions, "remove-action", nil, "action to remove, if no grant names it; may be repeated")
	return h.administer(cmd, func(s *session, args []string) error {
		patch, err := flags.fields(cmd)
		if err != nil {
			return err
		}
		if len(patch) == 0 {
			return api.Invalid("nothing to change: give a flag")
		}
		return ask(s, http.MethodPatch, "/resources"+segment(args[0]), nil, patch, (*session).printResource)
	})
}
