package caddymodule

import (
	"context"
	"slices"
	"sync"

	"go.uber.org/zap"
)

// issuersOf are the issuers of each URL in all configs of this process: there are two while one config replaces
// another, and both answer. What is changed through one of them is told to the other, which would else find it only
// when it looks at the storage next.
var issuersOf = struct {
	sync.Mutex
	byURL map[string][]*Issuer
}{byURL: make(map[string][]*Issuer)}

func (i *Issuer) meetPeers() {
	issuersOf.Lock()
	defer issuersOf.Unlock()
	issuersOf.byURL[i.URL] = append(issuersOf.byURL[i.URL], i)
}

func (i *Issuer) leavePeers() {
	issuersOf.Lock()
	defer issuersOf.Unlock()
	left := slices.DeleteFunc(issuersOf.byURL[i.URL], func(other *Issuer) bool { return other == i })
	if issuersOf.byURL[i.URL] = left; len(left) == 0 {
		delete(issuersOf.byURL, i.URL)
	}
}

// peers are this issuer in other configs. One that comes later has yet to read the storage.
func (i *Issuer) peers() []*Issuer {
	issuersOf.Lock()
	defer issuersOf.Unlock()
	return slices.DeleteFunc(slices.Clone(issuersOf.byURL[i.URL]), func(other *Issuer) bool { return other == i })
}

// tellRegistry has peers see what was just changed in the registry. Where one cannot, it does at a later look.
func (i *Issuer) tellRegistry() {
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
func (i *Issuer) tellKeys(ctx context.Context) {
	for _, peer := range i.peers() {
		_, _ = peer.keys.refresh(context.WithoutCancel(ctx), false) // it notes what is wrong
	}
}
