package caddymodule

import (
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/poll"
)

// remoteInterval is how often the keys of remote issuers are looked at, which fetches nothing unless
// they are to be kept fresh and are due.
const remoteInterval = time.Second

// watchRemotes tells the metrics of the keys and revocations of remote issuers, until the app's context ends.
func (a *App) watchRemotes() {
	if len(a.remotes) == 0 {
		return
	}
	a.lookAtRemotes()
	go poll.Every(a.ctx, remoteInterval, a.lookAtRemotes)
}

func (a *App) lookAtRemotes() {
	for url, remote := range a.remotes {
		if a.keepKeys {
			remote.keys.Refresh()
		}
		remote.revocations.begin()
		remote.revocations.insist(a.insistsOn(url))
		keys := remote.keys.Status()
		a.metrics.RemoteKeys(url, keys.Err == nil, keys.Fetched)
		if remote.revocations.concerns() {
			a.metrics.RemoteRevocations(url, remote.revocations.problem() == "", remote.revocations.known.AsOf())
		}
	}
}

// insistsOn reports whether a door takes no token of an issuer that does not publish what it has revoked.
func (a *App) insistsOn(url string) bool {
	return slices.ContainsFunc(a.doors, func(door *AuthHandler) bool {
		return slices.ContainsFunc(door.trusted, func(t *TrustedIssuer) bool {
			return t.remote != nil && t.URL == url && t.bound.insists()
		})
	})
}
