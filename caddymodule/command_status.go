package caddymodule

import (
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Shows what the issuers of a running server stand on", Args: cobra.NoArgs,
		Long: "Shows for each issuer where its registry and its policy come from, which revision is in force, and\nwhat is wrong with what was seen last. All there is about a policy bundle is in --format json.",
	}
	return administer(cmd, func(s *session, _ []string) error {
		var answer struct {
			Issuers []statusView `json:"issuers"`
		}
		if err := s.call(http.MethodGet, "/status", nil, nil, &answer); err != nil {
			return err
		}
		return s.print(answer, func() {
			health := map[bool]string{true: "healthy", false: "NOT HEALTHY"}
			rows := [][]string{{"ISSUER", "REGISTRY", "REVISION", "", "POLICY", "REVISION", "", ""}}
			for _, i := range answer.Issuers {
				problem, _, _ := strings.Cut(i.Policy.Error, "\n")
				rows = append(rows, []string{
					i.Issuer, i.Registry.Source, i.Registry.Revision, health[i.Registry.Healthy],
					i.Policy.Source, orDash(i.Policy.Revision), health[i.Policy.Healthy], problem,
				})
			}
			s.table(rows...)
		})
	})
}
