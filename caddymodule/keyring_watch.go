package caddymodule

import (
	"context"
	"math/rand/v2"
	"time"
)

// watchKeys looks at the keys in storage again and again, and does what is due, until ctx is done. No error ends
// it. Nodes that were started together do not look together.
func (i *issuerServer) watchKeys(ctx context.Context) {
	for {
		i.lookAtKeys(ctx)
		wait := i.keys.times.poll - rand.N(i.keys.times.poll/5+1)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// lookAtKeys tells of a change, and of each new reason why there is something wrong.
func (i *issuerServer) lookAtKeys(ctx context.Context) {
	former := i.keys.Problem()
	changed, err := i.keys.refresh(ctx, true)
	if ctx.Err() != nil {
		return
	}
	tell := func(result, problem string) {
		i.metrics.reloaded("keys", result)
		i.emit(reloadEvent, map[string]any{
			"issuer": i.URL, "kind": "keys", "result": result, "revision": i.keys.Revision(), "error": problem,
		})
	}
	switch problem := i.keys.Problem(); {
	case err != nil && problem != former:
		tell("error", problem)
	case changed:
		tell("ok", "")
	}
	i.metrics.setHealthy("keys", i.keys.Healthy())
	i.metrics.countKeys(i.keys)
}

// Revision is the ID of the key that signs; "" is that none is loaded.
func (k *keyring) Revision() string {
	loaded := k.loaded.Load()
	if loaded == nil {
		return ""
	}
	if signer := signerAt(loaded.all, k.alg, k.now()); signer != nil {
		return signer.ID()
	}
	return ""
}

// Healthy reports whether the last look found the keys as they are in use, and could do what was due.
func (k *keyring) Healthy() bool { return k.Problem() == "" }

// Problem says why they are not healthy.
func (k *keyring) Problem() string {
	if problem := k.problem.Load(); problem != nil {
		return problem.text
	}
	return ""
}

// countKeys sets the gauges of an issuer's keys.
func (m *issuerMetrics) countKeys(k *keyring) {
	loaded, now := k.loaded.Load(), k.now()
	if loaded == nil {
		return
	}
	counts := map[keyState]int{keyNext: 0, keyActive: 0, keyRetired: 0, keyRevoked: 0}
	for _, key := range loaded.all {
		state := stateAt(loaded.all, key, k.alg, now)
		counts[state]++
		if state == keyActive {
			m.keyAge.Set(max(0, now.Sub(key.signsFrom).Seconds()))
		}
	}
	for state, count := range counts {
		m.keys.WithLabelValues(string(state)).Set(float64(count))
	}
}
