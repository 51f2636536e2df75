package issuer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/keyring"
)

// issuersOf has the issuers of each URL in all configs of this process. There are two while one config replaces another,
// and both serve requests. A change through one of them is passed to the other, which would otherwise see it when it next
// looks at the storage.
var issuersOf = struct {
	sync.Mutex
	byURL map[string][]*Server
}{byURL: make(map[string][]*Server)}

// Join makes the server a peer of the issuers with its URL, and takes over the revocations that they know, because an
// object in storage may have been damaged since they read it. It fails as checkStorage does.
func (s *Server) Join(ctx context.Context) error {
	issuersOf.Lock()
	issuersOf.byURL[s.URL] = append(issuersOf.byURL[s.URL], s)
	issuersOf.Unlock()
	for _, peer := range s.peers() {
		s.Revocations.Merge(peer.Revocations.Set().All(time.Now())...)
	}
	return s.checkStorage(ctx)
}

func (s *Server) leavePeers() {
	issuersOf.Lock()
	defer issuersOf.Unlock()
	left := slices.DeleteFunc(issuersOf.byURL[s.URL], func(other *Server) bool { return other == s })
	if issuersOf.byURL[s.URL] = left; len(left) == 0 {
		delete(issuersOf.byURL, s.URL)
	}
}

// peers returns this issuer in other configs. One that joins later reads the storage itself.
func (s *Server) peers() []*Server {
	return slices.DeleteFunc(issuersWith(s.URL), func(other *Server) bool { return other == s })
}

// issuersWith returns the issuers of that URL in all configs of this process.
func issuersWith(url string) []*Server {
	issuersOf.Lock()
	defer issuersOf.Unlock()
	return slices.Clone(issuersOf.byURL[url])
}

// checkStorage fails if the storage has lost the keys that are in use, as when its volume is no longer mounted. A config
// that takes over would know no client, key or revocation, and would make a new key. Another storage in place of a whole
// one may be empty.
func (s *Server) checkStorage(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, keyring.LoadTimeout)
	defer cancel()
	for _, peer := range s.peers() {
		if !peer.Keys.Stored(ctx) && !s.Keys.HasAny(ctx, peer.Keys.Loaded()) {
			return errStorageLost
		}
	}
	return nil
}

var errStorageLost = errors.New("the storage has none of the signing keys that are in use: it is unavailable, or has lost them")

// tellRegistry makes peers read a change of the registry. A peer that fails reads it later.
func (s *Server) tellRegistry() {
	for _, peer := range s.peers() {
		if peer.Store == nil {
			continue
		}
		if err := peer.Store.Look(); err != nil {
			peer.Logger.Error("reading the registry failed", zap.Error(err))
		}
	}
}

// TellKeys makes peers read a change of the keys.
func (s *Server) TellKeys(ctx context.Context) {
	for _, peer := range s.peers() {
		_ = peer.Keys.Reload(context.WithoutCancel(ctx)) // a failure shows as the peer's problem
	}
}
