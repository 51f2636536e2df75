package caddymodule

import (
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/poll"
)

// remoteInterval is how often remote issuers are maintained. Most of the time that sends no request.
const remoteInterval = time.Second

// maintainRemotes maintains the remote issuers and sets their metrics, until the app's context ends.
func (a *App) maintainRemotes() {
	if len(a.remotes) == 0 {
		return
	}
	a.maintainRemotesOnce()
	go poll.Every(a.ctx, remoteInterval, a.maintainRemotesOnce)
}

func (a *App) maintainRemotesOnce() {
	for url, issuer := range a.remotes {
		issuer.Maintain(a.keepKeys, a.requiresFeed(url))
		status := issuer.Status()
		a.metrics.RemoteKeys(url, status.Keys.Problem == "", status.Keys.AsOf)
		if r := status.Revocations; r != nil {
			a.metrics.RemoteRevocations(url, r.Problem == "", r.AsOf)
		}
	}
}

// requiresFeed reports whether a door accepts no tokens of an issuer that does not publish its revocations.
func (a *App) requiresFeed(url string) bool {
	return slices.ContainsFunc(a.doors, func(door *AuthHandler) bool {
		return slices.ContainsFunc(door.trusted, func(t *TrustedIssuer) bool {
			return t.remote != nil && t.URL == url && t.remote.FeedRequired()
		})
	})
}
