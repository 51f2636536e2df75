package caddymodule

import (
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
)

// emitter emits a Caddy event.
type emitter func(name string, data map[string]any)

// watched is what may change while the server runs.
type watched interface {
	Reload() (changed bool, err error)
	Revision() string
	Healthy() bool
}

// reloadEvent is the name of the Caddy event of a registry, policy or keys that were taken, or refused.
const reloadEvent = "m2m_reload"

// watcher tells of changes of what it looks at.
type watcher struct {
	emit    emitter
	logger  *zap.Logger
	metrics *metrics.Reloads
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
	w.metrics.SetHealthy(w.kind, !w.sick)
}

func (w *watcher) tell(result, problem string) {
	w.metrics.Reloaded(w.kind, result)
	w.emit(reloadEvent, map[string]any{
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
