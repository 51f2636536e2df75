// Package replay repeats logged decisions with another policy, the candidate, and reports what would change. Its entry
// point is [Run], which reads decision logs as streams and keeps only the changes, by client and scope. Each decision has
// the input and the time from the log. The package imports policy and internal/scope.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/caddy-m2m/caddy-m2m/policy"
)

// Log is one log to read.
type Log struct {
	Name   string // in the report
	Reader io.Reader
}

// Config says which policy to replay with, and how.
type Config struct {
	// Policy is the candidate.
	Policy *policy.Engine
	// CheckClaims returns an error if an issuer would refuse the claims that the candidate gives a token. Default: no
	// claims are refused.
	CheckClaims func(map[string]any) error
	// Workers is the number of decisions that are made at the same time. Default: GOMAXPROCS.
	Workers int
	// GiveUp is the number of timeouts in a row after which a replay ends: each costs the whole time limit, and a log may
	// have millions of decisions. Default: 20.
	GiveUp int
}

const defaultGiveUp = 20

// ErrTooSlow reports that [Config.GiveUp] decisions in a row timed out.
var ErrTooSlow = errors.New("the candidate is too slow")

// Run reads the logs to their ends. It returns errors of reading, the error of ctx, and [ErrTooSlow]. Other problems
// with a line or a decision are in the report.
func Run(ctx context.Context, cfg Config, logs ...Log) (*Report, error) {
	if cfg.Workers <= 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.GiveUp <= 0 {
		cfg.GiveUp = defaultGiveUp
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	report := newReport()
	batches := make(chan []line, cfg.Workers)
	var workers sync.WaitGroup
	for range cfg.Workers {
		workers.Go(func() {
			for batch := range batches {
				for _, l := range batch {
					if err := replayLine(ctx, &cfg, report, l); err != nil {
						cancel(err)
					}
				}
			}
		})
	}
	err := readAll(ctx, logs, batches, report)
	close(batches)
	workers.Wait()
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrTooSlow):
		return nil, cause
	case err != nil:
		return nil, err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	report.finish(cfg.Policy.Revision())
	return report, nil
}

// replayLine makes a decision again if the line is one. Its error ends the replay.
func replayLine(ctx context.Context, cfg *Config, report *Report, l line) error {
	e, verdict := parseEvent(l.text)
	switch verdict {
	case isOther:
		report.count(func(t *Totals) { t.Other++ })
		return nil
	case isUnreadable:
		report.unreadable(l.where, e.problem)
		return nil
	case isMasked:
		report.count(func(t *Totals) { t.Decisions++; t.Masked++ })
		return nil
	case isCut:
		report.count(func(t *Totals) { t.Decisions++; t.Cut++ })
		return nil
	}
	d := &decision{event: e, line: l.where}
	if e.token != nil {
		d.replayToken(ctx, cfg)
	} else {
		d.replayRequest(ctx, cfg)
	}
	if ctx.Err() != nil {
		return nil // the report is not wanted any more
	}
	if late := report.add(d); late >= cfg.GiveUp {
		return fmt.Errorf("%w: %d decisions in a row were not made in time, the last at %s: %w", ErrTooSlow, late, d.line, d.failure)
	}
	return nil
}
