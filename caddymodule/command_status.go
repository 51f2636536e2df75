package caddymodule

import (
	"errors"
	"net/http"

	"github.com/spf13/cobra"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Shows what the issuers of a running server stand on, and whether that is healthy",
		Long: `
Shows what the issuers of a running server stand on. Healthy means that registry and
policy were read as they are now; that a storage can be written as well, only a
change tells.

The exit code is 0 when all is healthy and 6 otherwise.`,
		Args: cobra.NoArgs,
	}
	return administer(cmd, func(s *session, _ []string) error {
		type part struct {
			Source   string `json:"source,omitempty"`
			Revision string `json:"revision"`
			Healthy  bool   `json:"healthy"`
			Problem  string `json:"problem,omitempty"`
		}
		var answer struct {
			Issuers []struct {
				Issuer   string `json:"issuer"`
				Registry part   `json:"registry"`
				Policy   part   `json:"policy"`
			} `json:"issuers"`
		}
		if err := s.call(http.MethodGet, "/status", nil, nil, &answer); err != nil {
			return err
		}
		healthy := true
		for _, i := range answer.Issuers {
			healthy = healthy && i.Registry.Healthy && i.Policy.Healthy
		}
		err := s.print(answer, func() {
			health := map[bool]string{true: "healthy", false: "NOT HEALTHY"}
			rows := [][]string{{"ISSUER", "REGISTRY", "REVISION", "", "POLICY", ""}}
			for _, i := range answer.Issuers {
				rows = append(rows, []string{i.Issuer, i.Registry.Source, i.Registry.Revision, health[i.Registry.Healthy], i.Policy.Revision, health[i.Policy.Healthy]})
			}
			s.table(rows...)
			for _, i := range answer.Issuers {
				if i.Registry.Problem != "" {
					s.printf("\n%s: %s\n", printable(i.Issuer), printableLines(i.Registry.Problem))
				}
			}
		})
		if err == nil && !healthy {
			err = &exitError{exitUnavailable, errors.New("something is not healthy; the log of the server has more")}
		}
		return err
	})
}
