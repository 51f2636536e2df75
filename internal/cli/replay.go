package cli

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/replay"
)

// replayTimeout is how long the candidate may take for one decision. It is longer than a server's, for
// a command that runs beside others is to find the same changes each time.
const replayTimeout = time.Second

func replayCommand() *cobra.Command {
	cfg := policy.Config{}
	format := tableFormat("table")
	cmd := &cobra.Command{
		Use:   "replay <log>... --policy <path>...",
		Short: "Says what another policy would have decided",
		Long: `
Reads decision logs (the lines of the logger m2m.decisions, or OPA's own; "-" is
standard input, .gz is unpacked), makes every decision again with the policy at
--policy, and prints what would change: who gains or loses which scopes, with counts
and a decision as an example. Lines that are no decisions are passed over.

A decision is made with the input and at the time of the log. What the issuer held
back whatever policy says (other_audience) is no loss and no gain.

A candidate that is too slow for many decisions in a row ends the replay, without a report.

The exit code is 0 when nothing would change, 2 when something would or the candidate is
too slow, 5 for a policy that does not load, and 1 for other errors, such as logs without
any decision.`,
		Example: `  $ caddy m2m replay /var/log/caddy/decisions.json --policy ./policy
  $ zcat decisions-*.gz | caddy m2m replay - --policy ./policy --format json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, logs []string) error {
			report, err := runReplay(cmd.Context(), cfg, cmd.InOrStdin(), logs)
			if err != nil {
				return err
			}
			if err := printReport(cmd.OutOrStdout(), report, format); err != nil {
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
	flags.BoolVar(&cfg.NoDefaults, "defaults-off", false, "without the rules that ship, as with \"defaults off\"")
	flags.DurationVar(&cfg.Timeout, "timeout", replayTimeout, "how long a decision may take")
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

// noDecisions is an error, for the wrong log would else pass for a policy that changes nothing.
func noDecisions(report *replay.Report) error {
	text := fmt.Sprintf("there is no decision in the log; %d other lines", report.Totals.Other)
	if t := report.Totals; t.Unreadable > 0 {
		text += fmt.Sprintf(", %d unreadable, the first at %s: %s", t.Unreadable, report.Problems[0].Where, report.Problems[0].Error)
	}
	return errors.New(text)
}

// openLogs opens all logs before any is read.
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

// checkClaims refuses the claims that minting would.
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
