package cli

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

func (h *Host) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Shows the health of a running server",
		Long: `
Shows for each issuer whether its storage can be reached, the sources and revisions of
its registry and its policy, the numbers of signing keys and revocations, and the
problems. Also shows the remote issuers whose tokens have arrived, and each m2m_auth with
its own policy. For each policy it says which decisions are cached, and which expression
keeps others from it. Healthy means that the current data was read, the last write to the
storage worked, and no decision of a policy failed in the last five minutes. Ages and the
details of policy bundles are in --format json.

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

// statusPart is a line about one thing that an issuer or a door depends on. What is "" is shown as "-".
type statusPart struct{ part, source, revision, health, count, age string }

// printStatus prints a short table for each issuer and each door, because one table of all would be too wide for a terminal.
func (s *session) printStatus(answer api.Status) {
	for n, i := range answer.Issuers {
		s.separate(n > 0)
		s.printParts("issuer "+i.Issuer,
			statusPart{part: "storage", health: storageState(i.Storage)},
			statusPart{part: "registry", source: i.Registry.Source, revision: i.Registry.Revision, health: health[i.Registry.Healthy]},
			statusPart{part: "policy", source: i.Policy.Source, revision: i.Policy.Revision, health: health[i.Policy.Healthy]},
			statusPart{part: "keys", health: health[i.Keys.Healthy], count: strconv.Itoa(i.Keys.Count)},
			fetchedPart("revocations", i.Revocations))
		s.printCache(i.Policy.Cache)
	}
	for n, r := range answer.Remotes {
		s.separate(n+len(answer.Issuers) > 0)
		parts := []statusPart{fetchedPart("keys", r.Keys)}
		if r.Revocations != nil {
			parts = append(parts, fetchedPart("revocations", *r.Revocations))
		}
		s.printParts("remote issuer "+r.Issuer, parts...)
	}
	for n, d := range answer.Doors {
		s.separate(n+len(answer.Issuers)+len(answer.Remotes) > 0)
		s.printf("door for %s\n", printable(strings.Join(d.Audience, " ")))
		for _, where := range d.Policy.Where {
			s.printf("policy %s\n", printable(where))
		}
		s.printParts("issuer "+d.Issuer,
			statusPart{part: "policy", source: d.Policy.Source, revision: d.Policy.Revision, health: health[d.Policy.Healthy]})
		s.printCache(d.Policy.Cache)
	}
	if len(answer.Issuers)+len(answer.Remotes)+len(answer.Doors) == 0 {
		s.printf("The config has no issuer, no door with a policy of its own, and no remote issuer whose tokens have arrived.\n")
	}
	s.printProblems(answer)
}

func (s *session) separate(follows bool) {
	if follows {
		s.printf("\n")
	}
}

func fetchedPart(name string, f api.FetchedStatus) statusPart {
	return statusPart{part: name, health: health[f.Healthy], count: strconv.Itoa(f.Count), age: seconds(f.Age)}
}

func (s *session) printParts(title string, parts ...statusPart) {
	rows := [][]string{{"PART", "SOURCE", "REVISION", "HEALTH", "COUNT", "AGE"}}
	for _, p := range parts {
		rows = append(rows, []string{
			p.part, orDash(p.source), orDash(shortRevision(p.revision)), p.health, orDash(p.count), orDash(p.age),
		})
	}
	s.printf("%s\n", printable(title))
	s.table(rows...)
}

// printCache says which decisions are cached.
func (s *session) printCache(c *api.DecisionCache) {
	if c == nil {
		return
	}
	for _, d := range c.Decisions {
		s.printf("%s\n", printable(cachingText(d.Caching)))
	}
}

// cachingText says on one line whether decisions are cached, and if not, why.
func cachingText(c policy.Caching) string {
	kind := strings.ReplaceAll(c.Kind, "_", " ") + " decisions: "
	if !c.Cached {
		return kind + "evaluated each time, because " + c.Impure
	}
	return kind + "cached"
}

// shortRevision leaves out the middle of a long revision, which --format json shows.
func shortRevision(revision string) string {
	const longest = 36
	if len(revision) <= longest {
		return revision
	}
	return revision[:longest/2] + "…" + revision[len(revision)-longest/2:]
}

func (s *session) printProblems(answer api.Status) {
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

// seconds is an age, or "-" if there is none.
func seconds(age float64) string {
	if age == 0 {
		return "-"
	}
	return time.Duration(age * float64(time.Second)).Round(time.Second).String()
}

func (s *session) printProblem(of, problem string) {
	if problem != "" {
		s.printf("\n%s: %s\n", printable(of), printableLines(problem))
	}
}
