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

// issuersOf are the issuers of each URL in all configs of this process: there are two while one config replaces
// another, and both answer. What is changed through one of them is told to the other, which would else find it only
// when it looks at the storage next.
var issuersOf = struct {
	sync.Mutex
	byURL map[string][]*Server
}{byURL: make(map[string][]*Server)}

// Join makes the server one of the issuers that tell each other of changes, and takes what the others know to be
// revoked: an object in storage may have been damaged since they read it. It fails as checkStorage does.
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

// peers are this issuer in other configs. One that comes later has yet to read the storage.
func (s *Server) peers() []*Server {
	return slices.DeleteFunc(issuersWith(s.URL), func(other *Server) bool { return other == s })
}

// issuersWith returns the issuers of that URL in all configs of this process.
func issuersWith(url string) []*Server {
	issuersOf.Lock()
	defer issuersOf.Unlock()
	return slices.Clone(issuersOf.byURL[url])
}

// checkStorage fails when the storage has lost the keys that are in use, as a folder has on which nothing is mounted any
// more: a config that takes over would know no client, no key and no revocation, and would make new ones. A storage
// that is put in the place of a whole one may be empty.
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

var errStorageLost = errors.New("the storage has none of the signing keys that are in use: it is away, or has lost them")

// tellRegistry has peers see what was just changed in the registry. Where one cannot, it does at a later look.
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

// TellKeys has peers see what was just changed of the keys.
func (s *Server) TellKeys(ctx context.Context) {
	for _, peer := range s.peers() {
		_ = peer.Keys.Reload(context.WithoutCancel(ctx)) // a failure shows as the peer's problem
	}
}
