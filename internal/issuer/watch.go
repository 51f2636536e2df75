package issuer

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

// Start reads a registry in storage and what is revoked, has the policy's bundle in force that was kept, and begins to look at
// the registry and the policy for changes until ctx is done.
func (i *Server) Start(ctx context.Context) error {
	interval := reload.Interval
	if i.Store != nil {
		interval = reload.StorageInterval
		if err := i.Store.Open(ctx); err != nil {
			return fmt.Errorf("reading the registry: %w", err)
		}
	}
	if err := i.Revocations.Open(ctx); err != nil {
		return err
	}
	i.Policy.Start(ctx)
	go poll.Every(ctx, interval, i.watcher("registry", i.Registry).Look)
	go poll.Every(ctx, reload.Interval, i.watcher("policy", i.Policy).Look)
	go poll.Every(ctx, reload.StorageInterval, i.lookForRevocations)
	go i.Keys.Watch(ctx, i.reportKeys)
	go poll.Every(ctx, usageInterval, func() { i.flushUsage(ctx) })
	return nil
}

func (i *Server) watcher(kind string, source reload.Source) *reload.Watcher {
	return &reload.Watcher{Emit: i.Emit, Logger: i.Logger, Metrics: i.Metrics.Reloads, Issuer: i.URL, Kind: kind, Source: source}
}

func (i *Server) Stop(ctx context.Context) {
	i.flushUsage(ctx)
	if i.Store != nil {
		i.Store.Close()
	}
}

// flushUsage writes when secrets were last used. It is nothing that a token would wait for. In a storage that is not
// the one that it was, as a folder is on which nothing is mounted any more, it would only be in the way.
func (i *Server) flushUsage(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), usageTimeout)
	defer cancel()
	if !i.Keys.Stored(ctx) {
		return
	}
	if err := i.Usage.Flush(ctx); err != nil {
		i.Logger.Warn("noting when secrets were last used failed", zap.Error(err))
	}
}

// MetricState returns what the metrics show of the issuer's dependencies.
func (i *Server) MetricState() metrics.State {
	return metrics.State{
		StorageReachable: i.Revocations.Fresh() == nil,
		StorageWritable:  i.Storage.WriteFailure() == "",
		RegistryAge:      i.Registry.Age(),
		PolicyRevision:   i.Policy.Revision(),
		Revocations:      i.Revocations.Set().Len(),
		RevocationsAge:   i.Revocations.Age(),
	}
}

// reportKeys emits an event for a change of the signing keys and for a new problem, and sets their metrics.
func (i *Server) reportKeys(changed bool, newProblem string) {
	result := "ok"
	if newProblem != "" {
		result = "error"
	}
	if changed || newProblem != "" {
		i.Metrics.Reloaded("keys", result)
		i.Emit(reload.Event, map[string]any{
			"issuer": i.URL, "kind": "keys", "result": result, "revision": i.Keys.Revision(), "error": newProblem,
		})
	}
	i.Metrics.SetHealthy("keys", i.Keys.Healthy())
	counts := map[keyring.State]int{keyring.Next: 0, keyring.Active: 0, keyring.Retired: 0, keyring.Revoked: 0}
	for _, key := range i.Keys.List() {
		counts[key.State]++
		if key.State == keyring.Active {
			i.Metrics.ActiveKeyAge(time.Since(key.SignsFrom))
		}
	}
	for state, count := range counts {
		i.Metrics.Keys(string(state), count)
	}
}
