package caddymodule

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/poll"
)

// start reads a registry in storage and what is revoked, has the policy's bundle in force that was kept, and begins to look at
// the registry and the policy for changes until ctx is done.
func (i *issuerServer) start(ctx caddy.Context) error {
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
	go poll.Every(ctx, interval, i.watcher(ctx, "registry", i.registry).look)
	go poll.Every(ctx, pollInterval, i.watcher(ctx, "policy", i.policy).look)
	go poll.Every(ctx, storagePollInterval, i.lookForRevocations)
	go i.watchKeys(ctx)
	go poll.Every(ctx, usageInterval, func() { i.flushUsage(ctx) })
	return nil
}

func (i *issuerServer) watcher(ctx caddy.Context, kind string, source watched) *watcher {
	return &watcher{ctx: ctx, logger: i.logger, metrics: i.metrics.reloadMetrics, issuer: i.URL, kind: kind, source: source}
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
	if !i.keys.stored(ctx) {
		return
	}
	if err := i.usage.Flush(ctx); err != nil {
		i.logger.Warn("noting when secrets were last used failed", zap.Error(err))
	}
}

// watched is what may change while the issuer runs.
type watched interface {
	Reload() (changed bool, err error)
	Revision() string
	Healthy() bool
}

// reloadEvent is the name of the Caddy event of a registry, policy or keys that were taken, or refused.
const reloadEvent = "m2m_reload"

// watcher tells of changes of what it looks at.
type watcher struct {
	ctx     caddy.Context
	logger  *zap.Logger
	metrics *reloadMetrics
	issuer  string
	kind    string
	source  watched
	sick    bool // as of the last look
}

// look takes a change, if there is one. A broken one is logged, and what was good before serves on;
// it may be healthy again without a change, when the edit was undone.
func (w *watcher) look() {
	changed, err := w.source.Reload()
	revision := zap.String("revision", w.source.Revision())
	switch {
	case err != nil:
		w.logger.Error(w.kind+outcome(w.source), zap.Error(err))
		w.tell("error", err.Error())
	case changed:
		w.logger.Info(w.kind+" reloaded", revision)
		w.tell("ok", "")
	case w.sick && w.source.Healthy():
		w.logger.Info(w.kind+" is whole again", revision)
		w.tell("ok", "")
	}
	w.sick = !w.source.Healthy()
	w.metrics.setHealthy(w.kind, !w.sick)
}

func (w *watcher) tell(result, problem string) {
	w.metrics.reloaded(w.kind, result)
	emit(w.ctx, reloadEvent, map[string]any{
		"issuer": w.issuer, "kind": w.kind, "result": result, "revision": w.source.Revision(), "error": problem,
	})
}

// outcome is what follows from something that is broken.
func outcome(source watched) string {
	if source.Revision() == "" {
		return " is broken, and there is no other"
	}
	return " is broken, the last good one serves on"
}
