package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/policy/replay"
)

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
