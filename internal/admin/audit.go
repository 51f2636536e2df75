package admin

import (
	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// audit records changes of the registry, without secrets and their hashes.
func (a *request) audit(operation string, changes ...registry.Change) {
	for _, c := range changes {
		if c.Action() != "" {
			a.record("registry changed", audit.Change{
				Operation: operation, Kind: c.Kind, ID: c.ID, Action: c.Action(), Before: viewEntry(c.Before), After: viewEntry(c.After),
			})
		}
	}
}

// record records a change by the sender of the request.
func (a *request) record(message string, c audit.Change) {
	c.Actor = audit.ActorOf(a.r)
	a.issuer.Audit.Record(message, c)
}
