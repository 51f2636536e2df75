package caddymodule

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Shows what the issuers of a running server stand on, and whether that is healthy",
		Long: `
Shows for each issuer where its registry and its policy come from, which revision is in
force, how many signing keys there are, and what is wrong with what was seen last. Healthy means that they were read
as they are now; that a storage can be written as well, only a change tells. All
there is about a policy bundle is in --format json.

The exit code is 0 when all is healthy and 6 otherwise.`,
		Args: cobra.NoArgs,
	}
	return administer(cmd, func(s *session, _ []string) error {
		var answer struct {
			Issuers []statusView `json:"issuers"`
		}
		if err := s.call(http.MethodGet, "/status", nil, nil, &answer); err != nil {
			return err
		}
		err := s.print(answer, func() { s.printStatus(answer.Issuers) })
		for _, i := range answer.Issuers {
			if err == nil && !(i.Registry.Healthy && i.Policy.Healthy && i.Keys.Healthy) {
				err = &exitError{exitUnavailable, errors.New("something is not healthy; the log of the server has more")}
			}
		}
		return err
	})
}

func (s *session) printStatus(issuers []statusView) {
	health := map[bool]string{true: "healthy", false: "NOT HEALTHY"}
	rows := [][]string{{"ISSUER", "REGISTRY", "REVISION", "", "POLICY", "REVISION", "", "KEYS", ""}}
	for _, i := range issuers {
		rows = append(rows, []string{
			i.Issuer, i.Registry.Source, i.Registry.Revision, health[i.Registry.Healthy],
			i.Policy.Source, orDash(i.Policy.Revision), health[i.Policy.Healthy],
			strconv.Itoa(i.Keys.Count), health[i.Keys.Healthy],
		})
	}
	s.table(rows...)
	for _, i := range issuers {
		for _, problem := range []string{i.Registry.Problem, i.Policy.Problem, i.Keys.Problem} {
			if problem != "" {
				s.printf("\n%s: %s\n", printable(i.Issuer), printableLines(problem))
			}
		}
	}
}
