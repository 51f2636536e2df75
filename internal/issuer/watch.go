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
	// usageTimeout limits one such write. The next one writes what is left.
	usageTimeout = time.Minute
)

// Start reads the registry, if it is in storage, and the revocations, starts the policy, and watches all of them and the
// keys for changes until ctx is done.
func (s *Server) Start(ctx context.Context) error {
	interval := reload.Interval
	if s.Store != nil {
		interval = reload.StorageInterval
		if err := s.Store.Open(ctx); err != nil {
			return fmt.Errorf("reading the registry: %w", err)
		}
	}
	if err := s.Revocations.Open(ctx); err != nil {
		return err
	}
	s.Policy.Start(ctx)
	go poll.Every(ctx, interval, s.lookAtRegistry())
	go poll.Every(ctx, reload.Interval, s.watcher("policy", s.Policy).Look)
	go poll.Every(ctx, reload.StorageInterval, s.lookForRevocations)
	go s.Keys.Watch(ctx, s.reportKeys)
	go poll.Every(ctx, usageInterval, func() { s.flushUsage(ctx) })
	go poll.Every(ctx, failingLook, func() { s.logFailing(time.Now()) })
	return nil
}

func (s *Server) watcher(kind string, source reload.Source) *reload.Watcher {
	return &reload.Watcher{Emit: s.Emit, Logger: s.Logger, Metrics: s.Metrics.Reloads, Issuer: s.URL, Kind: kind, Source: source}
}

// Stop writes when secrets were last used, and closes the registry if it is in storage.
func (s *Server) Stop(ctx context.Context) {
	s.logFailing(time.Now())
	s.flushUsage(ctx)
	if s.Store != nil {
		s.Store.Close()
	}
}

// flushUsage writes when secrets were last used. It writes nothing to a storage without the issuer's keys, such as a
// folder whose volume is no longer mounted.
func (s *Server) flushUsage(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), usageTimeout)
	defer cancel()
	if !s.Keys.Stored(ctx) {
		return
	}
	if err := s.Usage.Flush(ctx); err != nil {
		s.Logger.Warn("noting when secrets were last used failed", zap.Error(err))
	}
}

// MetricState returns the state of the issuer's dependencies for the metrics.
func (s *Server) MetricState() metrics.State {
	return metrics.State{
		StorageReachable: s.Revocations.Fresh() == nil,
		StorageWritable:  s.Storage.WriteFailure() == "",
		RegistryAge:      s.Registry.Age(),
		PolicyRevision:   s.Policy.Revision(),
		Revocations:      s.Revocations.Set().Len(),
		RevocationsAge:   s.Revocations.Age(),
	}
}

// reportKeys emits an event for a change of the signing keys and for a new problem, and sets their metrics.
func (s *Server) reportKeys(changed bool, newProblem string) {
	result := "ok"
	if newProblem != "" {
		result = "error"
	}
	if changed || newProblem != "" {
		s.Metrics.Reloaded("keys", result)
		s.Emit(reload.Event, map[string]any{
			"issuer": s.URL, "kind": "keys", "result": result, "revision": s.Keys.Revision(), "error": newProblem,
		})
	}
	s.Metrics.SetHealthy("keys", s.Keys.Healthy())
	counts := map[keyring.State]int{keyring.Next: 0, keyring.Active: 0, keyring.Retired: 0, keyring.Revoked: 0}
	for _, key := range s.Keys.List() {
		counts[key.State]++
		if key.State == keyring.Active {
			s.Metrics.ActiveKeyAge(time.Since(key.SignsFrom))
		}
	}
	for state, count := range counts {
		s.Metrics.Keys(string(state), count)
	}
}
