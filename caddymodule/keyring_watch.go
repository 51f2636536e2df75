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
		i.metrics.Reloaded("keys", result)
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
	i.showKeys()
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

// showKeys sets the metrics of an issuer's keys.
func (i *issuerServer) showKeys() {
	k := i.keys
	i.metrics.SetHealthy("keys", k.Healthy())
	loaded, now := k.loaded.Load(), k.now()
	if loaded == nil {
		return
	}
	counts := map[keyState]int{keyNext: 0, keyActive: 0, keyRetired: 0, keyRevoked: 0}
	for _, key := range loaded.all {
		state := stateAt(loaded.all, key, k.alg, now)
		counts[state]++
		if state == keyActive {
			i.metrics.ActiveKeyAge(now.Sub(key.signsFrom))
		}
	}
	for state, count := range counts {
		i.metrics.Keys(string(state), count)
	}
}
