package caddymodule

import "time"

// remoteInterval is how often the keys of remote issuers are looked at, which fetches nothing unless
// they are to be kept fresh and are due.
const remoteInterval = time.Second

// watchRemotes tells the metrics of the keys and revocations of remote issuers, until the app's context ends.
func (a *App) watchRemotes() {
	if len(a.remotes) == 0 {
		return
	}
	a.lookAtRemotes()
	go every(a.ctx, remoteInterval, a.lookAtRemotes)
}

func (a *App) lookAtRemotes() {
	for url, remote := range a.remotes {
		if a.keepKeys {
			remote.keys.Refresh()
		}
		remote.revocations.begin()
		a.metrics.remoteKeys(url, remote.keys.Status())
		a.metrics.remoteRevocations(url, remote.revocations)
	}
}
