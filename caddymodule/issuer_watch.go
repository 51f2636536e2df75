package caddymodule

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// start reads a registry in storage, has the policy's bundle in force that was kept, and begins to look at
// the registry and the policy for changes until ctx is done.
func (i *Issuer) start(ctx context.Context) error {
	interval := pollInterval
	if i.store != nil {
		interval = storagePollInterval
		if err := i.store.Open(ctx); err != nil {
			return fmt.Errorf("reading the registry: %w", err)
		}
	}
	if err := i.policy.Start(ctx); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	go every(ctx, interval, func() { i.look("registry", i.registry) })
	go every(ctx, pollInterval, func() { i.look("policy", i.policy) })
	go every(ctx, usageInterval, func() { i.flushUsage(ctx) })
	return nil
}

func (i *Issuer) stop(ctx context.Context) {
	i.flushUsage(ctx)
	if i.store != nil {
		i.store.Close()
	}
}

// flushUsage writes when secrets were last used. It is nothing that a token would wait for.
func (i *Issuer) flushUsage(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), usageInterval)
	defer cancel()
	if err := i.usage.Flush(ctx); err != nil {
		i.logger.Warn("noting when secrets were last used failed", zap.Error(err))
	}
}

// every does something again and again, until ctx is done.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		do()
	}
}

// watched is what may change while the issuer runs.
type watched interface {
	Reload() (changed bool, err error)
	Revision() string
	Healthy() bool
}

// look takes a change, if there is one. A broken one is logged, and what was good before serves on;
// it may be healthy again without a change, when the edit was undone.
func (i *Issuer) look(kind string, source watched) {
	was := source.Healthy()
	changed, err := source.Reload()
	switch {
	case err != nil:
		i.metrics.reloaded(kind, "error")
		i.logger.Error(kind+outcome(source), zap.Error(err))
	case changed:
		i.metrics.reloaded(kind, "ok")
		i.logger.Info(kind+" reloaded", zap.String("revision", source.Revision()))
	case !was && source.Healthy():
		i.logger.Info(kind+" is whole again", zap.String("revision", source.Revision()))
	}
	i.metrics.setHealthy(kind, source.Healthy())
}

// outcome is what follows from something that is broken.
func outcome(source watched) string {
	if source.Revision() == "" {
		return " is broken, and there is no other"
	}
	return " is broken, the last good one serves on"
}
