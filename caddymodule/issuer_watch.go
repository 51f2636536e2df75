package caddymodule

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/keyring"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/reload"
)

const (
	// usageInterval is how often the times of last use of secrets are written.
	usageInterval = 15 * time.Second
	// usageTimeout bounds one such write. What is not written in time is written the next time.
	usageTimeout = time.Minute
)

// start reads a registry in storage and what is revoked, has the policy's bundle in force that was kept, and begins to look at
// the registry and the policy for changes until ctx is done.
func (i *issuerServer) start(ctx context.Context) error {
	interval := reload.Interval
	if i.store != nil {
		interval = reload.StorageInterval
		if err := i.store.Open(ctx); err != nil {
			return fmt.Errorf("reading the registry: %w", err)
		}
	}
	if err := i.revocations.Open(ctx); err != nil {
		return err
	}
	i.policy.Start(ctx)
	go poll.Every(ctx, interval, i.watcher("registry", i.registry).Look)
	go poll.Every(ctx, reload.Interval, i.watcher("policy", i.policy).Look)
	go poll.Every(ctx, reload.StorageInterval, i.lookForRevocations)
	go i.keys.Watch(ctx, i.reportKeys)
	go poll.Every(ctx, usageInterval, func() { i.flushUsage(ctx) })
	return nil
}

func (i *issuerServer) watcher(kind string, source reload.Source) *reload.Watcher {
	return &reload.Watcher{Emit: i.emit, Logger: i.logger, Metrics: i.metrics.Reloads, Issuer: i.URL, Kind: kind, Source: source}
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

// reportKeys emits an event for a change of the signing keys and for a new problem, and sets their metrics.
func (i *issuerServer) reportKeys(changed bool, newProblem string) {
	result := "ok"
	if newProblem != "" {
		result = "error"
	}
	if changed || newProblem != "" {
		i.metrics.Reloaded("keys", result)
		i.emit(reload.Event, map[string]any{
			"issuer": i.URL, "kind": "keys", "result": result, "revision": i.keys.Revision(), "error": newProblem,
		})
	}
	i.metrics.SetHealthy("keys", i.keys.Healthy())
	counts := map[keyring.State]int{keyring.Next: 0, keyring.Active: 0, keyring.Retired: 0, keyring.Revoked: 0}
	for _, key := range i.keys.List() {
		counts[key.State]++
		if key.State == keyring.Active {
			i.metrics.ActiveKeyAge(time.Since(key.SignsFrom))
		}
	}
	for state, count := range counts {
		i.metrics.Keys(string(state), count)
	}
}
