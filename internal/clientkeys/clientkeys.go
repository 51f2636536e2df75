// Package clientkeys fetches the public keys that clients publish at a jwks_uri (RFC 7591 §2), and keeps them. New makes a Cache,
// and Cache.KeySet is its entry point. The package imports internal/discovery and the leaf token.
//
// Those who register clients choose the URLs, and requests to them come from inside the operator's network. So a Cache connects
// to public addresses only, unless the operator names others; it looks at the address that it connects to, after the name was
// resolved. It fetches from few servers at a time, and from each with few requests, so that one that hangs keeps no others
// waiting.
package clientkeys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

const (
	// maxSets is how many key sets are kept. Those that were used least recently go first, and are fetched again when needed.
	maxSets = 2048
	// maxSize and maxKeys bound a key set of a client.
	maxSize = 64 << 10
	maxKeys = 20
)

// Cache fetches and keeps key sets. It is safe for concurrent use.
type Cache struct {
	slots *slots

	mu   sync.Mutex
	sets *simplelru.LRU[place, *discovery.Keys[*token.KeySet]]
}

// place is a URL, with the addresses that may be connected to.
type place struct{ url, networks string }

// New returns an empty cache. It starts no goroutine.
func New() *Cache {
	c := &Cache{slots: newSlots()}
	c.sets, _ = simplelru.NewLRU(maxSets, func(_ place, keys *discovery.Keys[*token.KeySet]) { // it fails only for a size below 1
		go keys.Close() // which waits for a fetch in flight
	})
	return c
}

// Allowed are the addresses that are not public and that a jwks_uri may lead to nevertheless.
type Allowed struct {
	Networks []netip.Prefix
	// Loopback allows addresses of this machine, for an issuer that is itself on loopback.
	Loopback bool
}

// KeySet returns the keys at a URL, as discovery.Keys.Get does. It waits for a fetch only until ctx ends.
func (c *Cache) KeySet(ctx context.Context, url string, allowed Allowed, kid string) (*token.KeySet, error) {
	source := discovery.Source{Issuer: url, JWKSURI: url}
	if err := source.Check(); err != nil {
		return nil, err
	}
	return c.at(source, allowed).Get(ctx, kid, discovery.DefaultStaleFor)
}

// Close ends all fetches and forgets all keys.
func (c *Cache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sets.Purge()
}

// at returns the keys of a place, without a request.
func (c *Cache) at(source discovery.Source, allowed Allowed) *discovery.Keys[*token.KeySet] {
	at := place{source.JWKSURI, fmt.Sprint(allowed)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if keys, ok := c.sets.Get(at); ok {
		return keys
	}
	keys := discovery.NewKeys(context.Background(), discovery.Config[*token.KeySet]{
		Source: source,
		Client: &http.Client{Transport: c.slots.transport(allowed)},
		Parse:  parse,
		Has:    (*token.KeySet).HasFor,
	})
	c.sets.Add(at, keys)
	return keys
}

func parse(jwks []byte) (*token.KeySet, error) {
	if len(jwks) > maxSize {
		return nil, fmt.Errorf("larger than %d bytes", maxSize)
	}
	keys, _, err := token.ParseKeySet(jwks)
	if err == nil && keys.Len() > maxKeys {
		return nil, errors.New("too many keys")
	}
	return keys.WithThumbprints(), err
}
