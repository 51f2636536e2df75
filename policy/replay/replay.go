// Package replay decides logged decisions again, with another policy, and says what would change.
//
// [Run] reads lines of the decision log in OPA's field names, as streams: what it keeps is what would
// change, by client and scope. Each decision is made with its own input and at its own time.
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
	// Name is what the report calls it.
	Name string
	// Reader is read once, to its end.
	Reader io.Reader
}

// Config says what is replayed, and with what.
type Config struct {
	// Policy is the candidate.
	Policy *policy.Engine
	// CheckClaims says what is wrong with the claims that the candidate gives a token, for which the
	// issuer would refuse it. Default: nothing is.
	CheckClaims func(map[string]any) error
	// Workers is how many decisions are made at once. Default: GOMAXPROCS.
	Workers int
	// GiveUp is after how many decisions in a row that were not made in time a replay ends: each
	// takes the whole timeout, and a log may have millions. Default: 20.
	GiveUp int
}

const defaultGiveUp = 20

// ErrTooSlow is a candidate that made none of [Config.GiveUp] decisions in a row in time.
var ErrTooSlow = errors.New("the candidate is too slow")

// Run reads the logs to their ends. Its errors are those of reading, and of ctx, and [ErrTooSlow]; what
// else is wrong with a line or a decision is in the report.
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

// replayLine decides a line again, if it is a decision. Its error is for the whole replay.
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
