package caddymodule

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/keyring"
)

// issuersOf are the issuers of each URL in all configs of this process: there are two while one config replaces
// another, and both answer. What is changed through one of them is told to the other, which would else find it only
// when it looks at the storage next.
var issuersOf = struct {
	sync.Mutex
	byURL map[string][]*issuerServer
}{byURL: make(map[string][]*issuerServer)}

// meetPeers has peers tell of changes from now on, and takes what they know to be revoked, be it that an object of it was
// damaged since they read it.
func (i *issuerServer) meetPeers() {
	issuersOf.Lock()
	issuersOf.byURL[i.URL] = append(issuersOf.byURL[i.URL], i)
	issuersOf.Unlock()
	for _, peer := range i.peers() {
		i.revocations.Merge(peer.revocations.Set().All(time.Now())...)
	}
}

func (i *issuerServer) leavePeers() {
	issuersOf.Lock()
	defer issuersOf.Unlock()
	left := slices.DeleteFunc(issuersOf.byURL[i.URL], func(other *issuerServer) bool { return other == i })
	if issuersOf.byURL[i.URL] = left; len(left) == 0 {
		delete(issuersOf.byURL, i.URL)
	}
}

// peers are this issuer in other configs. One that comes later has yet to read the storage.
func (i *issuerServer) peers() []*issuerServer {
	return slices.DeleteFunc(issuersWith(i.URL), func(other *issuerServer) bool { return other == i })
}

// issuersWith returns the issuers of that URL in all configs of this process.
func issuersWith(url string) []*issuerServer {
	issuersOf.Lock()
	defer issuersOf.Unlock()
	return slices.Clone(issuersOf.byURL[url])
}

// checkStorage fails when the storage has lost the keys that are in use, as a folder has on which nothing is mounted any
// more: a config that takes over would know no client, no key and nothing that is revoked, and begin anew. A storage
// that is put in the place of a whole one may be empty.
func (i *issuerServer) checkStorage(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keyring.LoadTimeout)
	defer cancel()
	for _, peer := range i.peers() {
		if !peer.keys.Stored(ctx) && !i.keys.HasAny(ctx, peer.keys.Loaded()) {
			return errStorageLost
		}
	}
	return nil
}

var errStorageLost = errors.New("the storage has none of the signing keys that are in use: it is away, or has lost them")

// tellRegistry has peers see what was just changed in the registry. Where one cannot, it does at a later look.
func (i *issuerServer) tellRegistry() {
	for _, peer := range i.peers() {
		if peer.store == nil {
			continue
		}
		if err := peer.store.Look(); err != nil {
			peer.logger.Error("reading the registry failed", zap.Error(err))
		}
	}
}

// tellKeys has peers see what was just changed of the keys.
func (i *issuerServer) tellKeys(ctx context.Context) {
	for _, peer := range i.peers() {
		_ = peer.keys.Reload(context.WithoutCancel(ctx)) // a failure shows as the peer's problem
	}
}
