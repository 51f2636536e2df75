// Package reload watches what may change while the server runs, such as a registry or a policy, and reports each change
// as a log line, a metric and a Caddy event. Watcher is its entry point. It imports metrics and leaves.
package reload

import (
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
)

const (
	// Interval is how often files and policies are checked for a change. A check costs a few stat calls.
	Interval = 250 * time.Millisecond
	// StorageInterval is how often the storage is checked for what other nodes have changed. A check reads one small
	// object or one list.
	StorageInterval = 2 * time.Second
)

// Event is the name of the Caddy event of a registry, policy or keys that were taken or refused.
const Event = "m2m_reload"

// Source is what may change.
type Source interface {
	// Reload takes a change, if there is one. It fails if the change is broken, and keeps what it had.
	Reload() (changed bool, err error)
	Revision() string
	Healthy() bool
}

// Watcher reports the changes of a source.
type Watcher struct {
	Emit    func(name string, data map[string]any)
	Logger  *zap.Logger
	Metrics *metrics.Reloads
	Issuer  string
	Kind    string
	Source  Source

	broken bool // at the last look
}

// Look takes a change of the source, if there is one. A source may be healthy again without a change, after a broken
// edit was undone.
func (w *Watcher) Look() {
	changed, err := w.Source.Reload()
	revision := zap.String("revision", w.Source.Revision())
	switch {
	case err != nil:
		w.Logger.Error(w.Kind+outcome(w.Source), zap.Error(err))
		w.report("error", err.Error())
	case changed:
		w.Logger.Info(w.Kind+" reloaded", revision)
		w.report("ok", "")
	case w.broken && w.Source.Healthy():
		w.Logger.Info(w.Kind+" is healthy again", revision)
		w.report("ok", "")
	}
	w.broken = !w.Source.Healthy()
	w.Metrics.SetHealthy(w.Kind, !w.broken)
}

func (w *Watcher) report(result, problem string) {
	w.Metrics.Reloaded(w.Kind, result)
	w.Emit(Event, map[string]any{
		"issuer": w.Issuer, "kind": w.Kind, "result": result, "revision": w.Source.Revision(), "error": problem,
	})
}

// outcome says what is in force after a broken change.
func outcome(source Source) string {
	if source.Revision() == "" {
		return " is broken, and there is no earlier one"
	}
	return " is broken, the last good one stays in force"
}
