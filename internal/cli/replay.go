package cli

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/replay"
)

// replayTimeout is the time limit of one decision. It is longer than a server's, so that a busy machine does not change
// the report.
const replayTimeout = time.Second

func replayCommand() *cobra.Command {
	cfg := policy.Config{}
	format := forPeople("table")
	cmd := &cobra.Command{
		Use:   "replay <log>... --policy <path>...",
		Short: "Says what another policy would have decided",
		Long: `
Reads decision logs (the lines of the logger m2m.decisions, or OPA's own; "-" is
standard input, .gz is unpacked), repeats every decision with the policy at --policy,
and prints what would change: who gains or loses which scopes, with counts and an
example. Other lines are skipped.

Each decision has the input and the time from the log. Scopes that the issuer itself
withholds (other_audience) do not count as lost or gained.

If the policy is too slow for many decisions in a row, the replay ends without a report.

The exit code is 0 if nothing would change, 2 if something would or the policy is too
slow, 5 if the policy does not load, and 1 for other errors, such as logs without any
decision.`,
		Example: `  $ caddy m2m replay /var/log/caddy/decisions.json --policy ./policy
  $ zcat decisions-*.gz | caddy m2m replay - --policy ./policy --format json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, logs []string) error {
			report, err := runReplay(cmd.Context(), cfg, cmd.InOrStdin(), logs)
			if err != nil {
				return err
			}
			if err := printReport(cmd.OutOrStdout(), report, format.value); err != nil {
				return err
			}
			if report.IsDifferent() {
				return errDifferent
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&cfg.Paths, "policy", nil, "file or folder of the policy; may be repeated (required)")
	flags.BoolVar(&cfg.NoDefaults, "defaults-off", false, "leave out the shipped rules, as \"defaults off\" does")
	flags.DurationVar(&cfg.Timeout, "timeout", replayTimeout, "time limit of a decision")
	flags.Var(&format, "format", "table or json")
	_ = cmd.MarkFlagRequired("policy")
	return cmd
}

func runReplay(ctx context.Context, cfg policy.Config, stdin io.Reader, names []string) (*replay.Report, error) {
	engine, err := policy.Load(cfg)
	if err != nil {
		return nil, &exitError{exitInvalid, fmt.Errorf("loading the policy:\n%w", err)}
	}
	defer engine.Close()
	logs, closeLogs, err := openLogs(stdin, names)
	defer closeLogs()
	if err != nil {
		return nil, err
	}
	report, err := replay.Run(ctx, replay.Config{Policy: engine, CheckClaims: checkClaims}, logs...)
	if errors.Is(err, replay.ErrTooSlow) {
		return nil, &exitError{exitDifferent, err}
	}
	if err != nil {
		return nil, err
	}
	if report.Totals.Decisions == 0 {
		return nil, noDecisions(report)
	}
	return report, nil
}

// noDecisions is an error, because a wrong log must not look like a policy that changes nothing.
func noDecisions(report *replay.Report) error {
	text := fmt.Sprintf("there is no decision in the log; %d other lines", report.Totals.Other)
	if t := report.Totals; t.Unreadable > 0 {
		text += fmt.Sprintf(", %d unreadable, the first at %s: %s", t.Unreadable, report.Problems[0].Where, report.Problems[0].Error)
	}
	return errors.New(text)
}

// openLogs opens all logs before any of them is read.
func openLogs(stdin io.Reader, names []string) ([]replay.Log, func(), error) {
	var logs []replay.Log
	var files []io.Closer
	closeAll := func() {
		for _, file := range files {
			_ = file.Close()
		}
	}
	for _, name := range names {
		if name == "-" {
			logs = append(logs, replay.Log{Name: "stdin", Reader: stdin})
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			return nil, closeAll, err
		}
		files = append(files, file)
		log := replay.Log{Name: name, Reader: file}
		if strings.HasSuffix(name, ".gz") {
			if log.Reader, err = gzip.NewReader(file); err != nil {
				return nil, closeAll, fmt.Errorf("reading %s: %w", name, err)
			}
		}
		logs = append(logs, log)
	}
	return logs, closeAll, nil
}

// checkClaims refuses claims that cannot be in a token.
func checkClaims(claims map[string]any) error {
	if len(claims) == 0 {
		return nil
	}
	_, err := token.Mint{
		Issuer: "https://issuer.example.com", ClientID: "client", ID: "id", Audience: []string{"https://api.example.com"},
		IssuedAt: time.Now(), TTL: time.Second, Extra: claims,
	}.Claims()
	return err
}

func printReport(w io.Writer, report *replay.Report, format string) error {
	out := &stickyWriter{w: w}
	if format == "json" {
		return printJSON(out, report)
	}
	if len(report.Changes) > 0 {
		rows := [][]string{{"CLIENT", "CHANGE", "WHAT", "DECISIONS", "WHY", "EXAMPLE"}}
		for _, c := range report.Changes {
			rows = append(rows, []string{orDash(c.Client), string(c.Kind), orDash(c.What), countOf(c), orDash(whyOf(c)), c.Example})
		}
		printTable(out, rows...)
		fmt.Fprintln(out)
	}
	if report.Unlisted > 0 {
		fmt.Fprintf(out, "%d more changes are not listed: there are too many different ones\n", report.Unlisted)
	}
	if len(report.Failures) > 0 {
		rows := [][]string{{"FAILURE", "DECISIONS", "ERROR", "EXAMPLE"}}
		for _, f := range report.Failures {
			rows = append(rows, []string{f.Kind, fmt.Sprint(f.Count), f.Error, f.Example})
		}
		printTable(out, rows...)
		fmt.Fprintln(out)
	}
	printTotals(out, report)
	return out.err
}

func printTotals(out io.Writer, report *replay.Report) {
	t := report.Totals
	fmt.Fprintf(out, "policy %s, %d decisions: %d as they were, %d otherwise, %d fail\n", report.Revision, t.Decisions, t.Same, t.Changed, t.Failed)
	for _, line := range []struct {
		count int
		text  string
	}{
		{t.Uncertain, "of these are uncertain, because something in them is masked"},
		{t.Masked, "could not be repeated, because too much is masked"},
		{t.Cut, "could not be repeated, because their lines were cut"},
		{t.Unreadable, "lines could not be read"},
		{t.Other, "other lines"},
	} {
		if line.count > 0 {
			fmt.Fprintf(out, "%d %s\n", line.count, line.text)
		}
	}
	for _, p := range report.Problems {
		fmt.Fprintf(out, "  %s: %s\n", printable(p.Where), printable(p.Error))
	}
}

func countOf(c *replay.Change) string {
	if c.Uncertain == 0 {
		return fmt.Sprint(c.Count)
	}
	return fmt.Sprintf("%d (%d uncertain)", c.Count, c.Uncertain)
}

func whyOf(c *replay.Change) string {
	if c.Before != "" || c.After != "" {
		return orDash(c.Before) + " -> " + orDash(c.After)
	}
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(c.Reasons)) {
		if len(c.Reasons) > 1 {
			reason = fmt.Sprintf("%s (%d)", reason, c.Reasons[reason])
		}
		reasons = append(reasons, reason)
	}
	return strings.Join(reasons, ", ")
}
