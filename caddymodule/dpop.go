package caddymodule

import (
	"sync"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
)

// maxProofs is how many proofs of DPoP are remembered. They take up to 100 MiB, and an eighth is for one client.
const maxProofs = 1 << 20

// usedProofs remembers the proofs of DPoP that this process has accepted, also across reloads of the config. A proof names the
// URL that it is for, so all issuers and doors share the memory.
var usedProofs = sync.OnceValue(func() *dpop.Memory { return dpop.NewMemory(maxProofs) })

// proofs returns what checks the proofs of an issuer or a door. If nonces are required, the label separates them from those of
// others.
func (a *App) proofs(nonces bool, label string) *dpop.Checker {
	c := &dpop.Checker{Used: usedProofs()}
	if nonces {
		c.Nonces = dpop.NewNonces(label)
		a.nonces = append(a.nonces, c.Nonces)
	}
	return c
}

// shareNonces makes the nonces of the config those of all nodes with this storage. Without the storage the nonces are those of
// this process: another node refuses them, and the client sends its request again with a new one.
func (a *App) shareNonces() {
	if len(a.nonces) == 0 {
		return
	}
	key, err := dpop.SharedKey(a.ctx, a.storage)
	if err != nil {
		a.logger.Error("the nonces of DPoP are not shared with other nodes", zap.Error(err))
		return
	}
	for _, nonces := range a.nonces {
		nonces.SetKey(key)
	}
}
