package cli

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

func (h *Host) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Shows the health of a running server",
		Long: `
Shows for each issuer whether its storage can be reached, the sources and revisions of
its registry and its policy, the numbers of signing keys and revocations, and the
problems. Also shows the remote issuers whose tokens have arrived, and each m2m_auth with
its own policy. Healthy means that the current data was read and the last write to the
storage worked. Ages and the details of policy bundles are in --format json.

The exit code is 0 if everything is healthy and 6 otherwise.`,
		Args: cobra.NoArgs,
	}
	return h.administer(cmd, func(s *session, _ []string) error {
		var answer api.Status
		if err := s.call(http.MethodGet, "/status", nil, nil, &answer); err != nil {
			return err
		}
		err := s.print(answer, func() { s.printStatus(answer) })
		if err == nil && !answer.Healthy() {
			err = &exitError{exitUnavailable, errors.New("something is not healthy; the log of the server has more")}
		}
		return err
	})
}

var health = map[bool]string{true: "healthy", false: "NOT HEALTHY"}

func storageState(s api.StorageStatus) string {
	switch {
	case !s.Reachable:
		return "NOT REACHABLE"
	case !s.Writable:
		return "NOT WRITABLE"
	}
	return "healthy"
}

func (s *session) printStatus(answer api.Status) {
	var tables [][][]string
	if len(answer.Issuers) > 0 || len(answer.Remotes)+len(answer.Doors) == 0 {
		tables = append(tables, issuerRows(answer.Issuers))
	}
	if len(answer.Remotes) > 0 {
		tables = append(tables, remoteRows(answer.Remotes))
	}
	if len(answer.Doors) > 0 {
		tables = append(tables, doorRows(answer.Doors))
	}
	for i, rows := range tables {
		if i > 0 {
			s.printf("\n")
		}
		s.table(rows...)
	}
	for _, i := range answer.Issuers {
		if i.Storage.Reachable { // otherwise the other problems say so
			s.printProblem(i.Issuer, i.Storage.Problem)
		}
		s.printProblem(i.Issuer, i.Registry.Problem)
		s.printProblem(i.Issuer, i.Policy.Problem)
		s.printProblem(i.Issuer, i.Keys.Problem)
		s.printProblem(i.Issuer, i.Revocations.Problem)
	}
	for _, r := range answer.Remotes {
		s.printProblem(r.Issuer, r.Keys.Problem)
		if r.Revocations != nil {
			s.printProblem(r.Issuer, r.Revocations.Problem)
		}
	}
	for _, d := range answer.Doors {
		s.printProblem("door for "+strings.Join(d.Audience, " "), d.Policy.Problem)
	}
}

func issuerRows(issuers []api.IssuerStatus) [][]string {
	rows := [][]string{{"ISSUER", "STORAGE", "REGISTRY", "REVISION", "", "POLICY", "REVISION", "", "KEYS", "", "REVOKED", ""}}
	for _, i := range issuers {
		rows = append(rows, []string{
			i.Issuer, storageState(i.Storage), i.Registry.Source, i.Registry.Revision, health[i.Registry.Healthy],
			i.Policy.Source, orDash(i.Policy.Revision), health[i.Policy.Healthy],
			strconv.Itoa(i.Keys.Count), health[i.Keys.Healthy],
			strconv.Itoa(i.Revocations.Count), health[i.Revocations.Healthy],
		})
	}
	return rows
}

func remoteRows(remotes []api.RemoteStatus) [][]string {
	rows := [][]string{{"REMOTE ISSUER", "KEYS", "AGE", "", "REVOKED", "AGE", ""}}
	for _, r := range remotes {
		row := []string{r.Issuer, strconv.Itoa(r.Keys.Count), seconds(r.Keys.Age), health[r.Keys.Healthy], "-", "-", "-"}
		if r.Revocations != nil {
			row = append(row[:4], strconv.Itoa(r.Revocations.Count), seconds(r.Revocations.Age), health[r.Revocations.Healthy])
		}
		rows = append(rows, row)
	}
	return rows
}

// seconds is an age, or "-" if there is none.
func seconds(age float64) string {
	if age == 0 {
		return "-"
	}
	return time.Duration(age * float64(time.Second)).Round(time.Second).String()
}

func doorRows(doors []api.DoorStatus) [][]string {
	rows := [][]string{{"DOOR FOR", "ISSUER", "POLICY", "WHERE", "REVISION", ""}}
	for _, d := range doors {
		rows = append(rows, []string{
			strings.Join(d.Audience, " "), d.Issuer, d.Policy.Source, strings.Join(d.Policy.Where, " "),
			orDash(d.Policy.Revision), health[d.Policy.Healthy],
		})
	}
	return rows
}

func (s *session) printProblem(of, problem string) {
	if problem != "" {
		s.printf("\n%s: %s\n", printable(of), printableLines(problem))
	}
}
