package caddymodule

import (
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/keyring"
)

// reportKeys emits an event for a change of the signing keys and for a new problem, and sets their metrics.
func (i *issuerServer) reportKeys(changed bool, newProblem string) {
	result := "ok"
	if newProblem != "" {
		result = "error"
	}
	if changed || newProblem != "" {
		i.metrics.Reloaded("keys", result)
		i.emit(reloadEvent, map[string]any{
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
