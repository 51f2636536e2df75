package cli

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

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
		clients := []*api.Client{}
		query := url.Values{"prefix": {prefix}, "after": {after}}
		next := ""
		for {
			size := 1000
			if limit > 0 {
				size = min(size, limit-len(clients))
			}
			query.Set("limit", strconv.Itoa(size))
			var page api.ClientList
			if err := s.call(http.MethodGet, "/clients", query, nil, &page); err != nil {
				return err
			}
			clients = append(clients, page.Clients...)
			if next = page.Next; next == "" || limit > 0 && len(clients) >= limit {
				break
			}
			query.Set("after", page.Next)
		}
		answer := api.ClientList{Clients: clients, Next: next}
		return s.print(answer, func() {
			rows := [][]string{{"ID", "STATE", "SECRETS", "GRANTS", "DESCRIPTION"}}
			for _, c := range clients {
				rows = append(rows, []string{c.ID, c.State(), strconv.Itoa(c.LiveSecrets()), strconv.Itoa(len(c.Grants)), c.Description})
			}
			s.table(rows...)
			if next != "" {
				s.warnf("There are more: --after %s\n", shellWord(next))
			}
		})
	})
}
