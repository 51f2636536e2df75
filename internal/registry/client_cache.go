package registry

import (
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
)

// DefaultCacheSize is how many clients a Store holds in memory unless it is told otherwise.
const DefaultCacheSize = 10_000

// maxUnknown is how many ids are remembered that no client has. They have a cache of their own, so that
// strangers who make up ids push no client out of memory.
const maxUnknown = 1_000

// clientCache holds the clients that were asked for last. A client that is put into it was read in a
// generation, and is not taken when something has been dropped since: it may be from before a change.
type clientCache struct {
	known      *lru.Cache[string, *Client]
	unknown    *lru.Cache[string, struct{}]
	generation atomic.Uint64
}

func newClientCache(size int) *clientCache {
	known, _ := lru.New[string, *Client](max(size, 1)) // fails for sizes below 1
	unknown, _ := lru.New[string, struct{}](maxUnknown)
	return &clientCache{known: known, unknown: unknown}
}

// get returns the client, or nil for an id that no client has; ok is false when neither is known.
func (c *clientCache) get(id string) (client *Client, ok bool) {
	if client, ok = c.known.Get(id); ok {
		return client, true
	}
	_, ok = c.unknown.Get(id)
	return nil, ok
}

func (c *clientCache) put(generation uint64, id string, client *Client) {
	if client == nil {
		c.unknown.Add(id, struct{}{})
	} else {
		c.known.Add(id, client)
	}
	if c.generation.Load() != generation { // looked at last: a drop raises it first
		c.remove(id)
	}
}

func (c *clientCache) drop(id string) {
	c.generation.Add(1)
	c.remove(id)
}

func (c *clientCache) dropAll() {
	c.generation.Add(1)
	c.known.Purge()
	c.unknown.Purge()
}

func (c *clientCache) remove(id string) {
	c.known.Remove(id)
	c.unknown.Remove(id)
}
