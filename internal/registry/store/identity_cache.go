package store

import (
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// identityCache holds the records of identities that were looked up last. Records that do not exist are in a part of their
// own, so that subjects of a trusted issuer that no client lists push no record out of memory.
type identityCache struct {
	known      *lru.Cache[string, *identityRecord]
	none       *lru.Cache[string, time.Time] // until when
	generation atomic.Uint64
	mu         sync.Mutex // of changes, so that none of an earlier generation comes in after a drop
}

func newIdentityCache(size int) *identityCache {
	c := new(identityCache)
	c.known, _ = lru.New[string, *identityRecord](max(size, 1)) // New fails for sizes below 1
	c.none, _ = lru.New[string, time.Time](maxRefused)
	return c
}

// noRecord stands for a record that does not exist.
var noRecord = new(identityRecord)

// get returns a record, or nil if it is not known whether it exists.
func (c *identityCache) get(key string, now time.Time) *identityRecord {
	if record, ok := c.known.Get(key); ok {
		return record
	}
	if until, ok := c.none.Get(key); ok && now.Before(until) {
		return noRecord
	}
	return nil
}

// put keeps a record that was read in that generation, unless it is from before a change.
func (c *identityCache) put(generation uint64, key string, record *identityRecord, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.generation.Load() != generation:
	case record.isEmpty():
		c.none.Add(key, now.Add(refusedFor))
	default:
		c.known.Add(key, record)
	}
}

func (c *identityCache) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation.Add(1)
	c.known.Remove(key)
	c.none.Remove(key)
}

func (c *identityCache) dropAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation.Add(1)
	c.known.Purge()
	c.none.Purge()
}
