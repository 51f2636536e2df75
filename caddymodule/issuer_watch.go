package caddymodule

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
)

// start reads a registry in storage and what is revoked, has the policy's bundle in force that was kept, and begins to look at
// the registry and the policy for changes until ctx is done.
func (i *issuerServer) start(ctx context.Context) error {
	interval := pollInterval
	if i.store != nil {
		interval = storagePollInterval
		if err := i.store.Open(ctx); err != nil {
			return fmt.Errorf("reading the registry: %w", err)
		}
	}
	if err := i.revocations.Open(ctx); err != nil {
		return err
	}
	i.policy.Start(ctx)
	go poll.Every(ctx, interval, i.watcher("registry", i.registry).look)
	go poll.Every(ctx, pollInterval, i.watcher("policy", i.policy).look)
	go poll.Every(ctx, storagePollInterval, i.lookForRevocations)
	go i.keys.Watch(ctx, i.reportKeys)
	go poll.Every(ctx, usageInterval, func() { i.flushUsage(ctx) })
	return nil
}

func (i *issuerServer) watcher(kind string, source watched) *watcher {
	return &watcher{emit: i.emit, logger: i.logger, metrics: i.metrics.Reloads, issuer: i.URL, kind: kind, source: source}
}

func (i *issuerServer) stop(ctx context.Context) {
	i.flushUsage(ctx)
	if i.store != nil {
		i.store.Close()
	}
}

// flushUsage writes when secrets were last used. It is nothing that a token would wait for. In a storage that is not
// the one that it was, as a folder is on which nothing is mounted any more, it would only be in the way.
func (i *issuerServer) flushUsage(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), usageTimeout)
	defer cancel()
	if !i.keys.Stored(ctx) {
		return
	}
	if err := i.usage.Flush(ctx); err != nil {
		i.logger.Warn("noting when secrets were last used failed", zap.Error(err))
	}
}

// metricState returns what the metrics show of the issuer's dependencies.
func (i *issuerServer) metricState() metrics.State {
	return metrics.State{
		StorageReachable: i.revocations.Fresh() == nil,
		StorageWritable:  i.storage.WriteFailure() == "",
		RegistryAge:      i.registry.Age(),
		PolicyRevision:   i.policy.Revision(),
		Revocations:      i.revocations.Set().Len(),
		RevocationsAge:   i.revocations.Age(),
	}
}
