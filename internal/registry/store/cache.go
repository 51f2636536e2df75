package store

import (
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// DefaultCacheSize is how many clients a Store keeps in memory by default.
const DefaultCacheSize = 10_000

const (
	// maxRefused is how many refused ids are remembered. They have a cache of their own, so that callers who make up ids
	// push no client out of memory.
	maxRefused = 1_000
	// refusedFor is how long an id is remembered as refused. A record that is restored by hand is not in the journal, and
	// is found after that time.
	refusedFor = 5 * time.Second
)

// clientCache holds the clients that were looked up last, and the ids whose authentication failed or that no client has.
// Each drop begins a new generation. A client that was read in an earlier generation is not kept, because it may be from
// before a change.
type clientCache struct {
	known      *lru.Cache[string, *registry.Client]
	refused    *lru.Cache[string, refusal]
	left       *lru.Cache[string, struct{}] // ids of clients that were known, and were dropped
	generation atomic.Uint64
	mu         sync.Mutex // of changes, so that none of an earlier generation comes in after a drop
}

// refusal remembers that an id was refused. It holds the client, so that a known id costs no more than an unknown one
// after its client has left the cache.
type refusal struct {
	client *registry.Client // nil if no client has the id
	until  time.Time
}

func newClientCache(size int) *clientCache {
	size = max(size, 1) // New fails for sizes below 1
	c := new(clientCache)
	c.left, _ = lru.New[string, struct{}](size)
	c.known, _ = lru.NewWithEvict(size, func(id string, _ *registry.Client) { c.left.Add(id, struct{}{}) })
	c.refused, _ = lru.New[string, refusal](maxRefused)
	return c
}

// get returns the client, or nil if it is not in memory or does not exist. It also reports whether the id was refused
// lately. In that case nil means that the client does not exist.
func (c *clientCache) get(id string, now time.Time) (client *registry.Client, refused bool) {
	r, refused := c.refused.Get(id)
	refused = refused && now.Before(r.until)
	if client, ok := c.known.Get(id); ok {
		return client, refused
	}
	if refused {
		return r.client, true
	}
	return nil, false
}

// put keeps a client that was read in that generation, unless it is from before a change.
func (c *clientCache) put(generation uint64, id string, client *registry.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation.Load() == generation {
		c.known.Add(id, client)
		c.left.Remove(id)
	}
}

// refuse remembers that an id was refused. The client is the one that the id had in that generation, or nil.
func (c *clientCache) refuse(generation uint64, id string, client *registry.Client, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if isWhole(client) {
		if current, ok := c.known.Peek(id); !ok || current != client {
			return
		}
	} else if c.generation.Load() != generation {
		return
	} else {
		c.left.Remove(id)
	}
	c.refused.Add(id, refusal{client, now.Add(refusedFor)})
}

// wasKnown reports whether a client of that id was in memory before, as far as that is remembered.
func (c *clientCache) wasKnown(id string) bool { return c.left.Contains(id) }

// drop forgets a client that was changed. When it returns, get no longer returns the client from before the change.
func (c *clientCache) drop(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation.Add(1)
	c.known.Remove(id)
	c.refused.Remove(id)
}

func (c *clientCache) dropAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation.Add(1)
	c.known.Purge()
	c.refused.Purge()
}
