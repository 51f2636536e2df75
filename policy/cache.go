package policy

import (
	"container/list"
	"sync"
	"weak"
)

// The bounds of the decisions that one policy keeps.
const (
	maxCached      = 20_000
	maxCachedBytes = 16 << 20
	// A client may push out the decisions of others until it holds 1/cacheShare of the bounds. Beyond that it uses free room or
	// replaces its own.
	cacheShare = 8
	// One decision may take 1/largestCached of the bytes.
	largestCached = 128
)

// cache holds the decisions of one snapshot that were used most recently, bounded in entries and in bytes. So it ends with the
// policy and its data. It holds no lock while a policy is evaluated: two requests may evaluate the same question at the same
// time, and do not wait for each other.
type cache struct {
	entries, bytes int // the bounds

	mu      sync.Mutex
	closed  bool
	known   map[string]*cached
	recent  list.List // of *cached, the one that was used last first
	size    int
	holders map[string]*holding
}

// cached is a decision, with what it was made of.
type cached struct {
	key string
	versions
	value any // is shared by all who get it, and never changes

	size   int
	holder string
	all    *list.Element // in cache.recent
	own    *list.Element // in holding.recent
}

// holding lists the entries of one client.
type holding struct {
	recent list.List // of *cached, as in cache
	size   int
}

// versions are the objects that a token decision was made of. A key names them, and they stand for what they hold. They are
// weak, so that a decision does not keep the old version of a client in memory, and no other object is ever equal to them.
type versions struct {
	client    weak.Pointer[Client]
	resources []weak.Pointer[Resource] // in the order of their codes
}

func newVersions(in *TokenInput, codes []string) versions {
	v := versions{client: weak.Make(in.Client)}
	for _, code := range codes {
		v.resources = append(v.resources, weak.Make(in.Resources[code]))
	}
	return v
}

// are reports whether the versions are those of an input whose resources have these codes.
func (v *versions) are(in *TokenInput, codes []string) bool {
	if v.client.Value() != in.Client || len(v.resources) != len(codes) {
		return false
	}
	for i, code := range codes {
		if v.resources[i].Value() != in.Resources[code] {
			return false
		}
	}
	return true
}

func newCache(entries, bytes int) *cache {
	return &cache{entries: entries, bytes: bytes, known: make(map[string]*cached), holders: make(map[string]*holding)}
}

// get returns a decision and marks it as used, or returns nil if there is none.
func (c *cache) get(key []byte) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.known[string(key)]
	if found != nil {
		c.recent.MoveToFront(found.all)
		c.holders[found.holder].recent.MoveToFront(found.own)
	}
	return found
}

// add adds a decision, unless it is too large. It replaces one with the same key, whose versions may be old.
func (c *cache) add(entry *cached) {
	entry.size += cachedSize + len(entry.key) + len(entry.resources)*8
	if entry.size > c.bytes/largestCached {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if old := c.known[entry.key]; old != nil {
		c.remove(old)
	}
	own := c.holders[entry.holder]
	if own == nil {
		own = new(holding)
	}
	for len(c.known) >= c.entries || c.size+entry.size > c.bytes {
		c.remove(c.last(own, entry.size))
	}
	c.holders[entry.holder] = own // it was deleted if its last entry was removed
	entry.all, entry.own = c.recent.PushFront(entry), own.recent.PushFront(entry)
	c.known[entry.key] = entry
	c.size += entry.size
	own.size += entry.size
}

// last returns the entry to remove when a client needs room for another of this size.
func (c *cache) last(own *holding, size int) *cached {
	from := &c.recent
	if n := own.recent.Len(); n > 0 && (n >= c.entries/cacheShare || own.size+size > c.bytes/cacheShare) {
		from = &own.recent
	}
	return from.Back().Value.(*cached)
}

func (c *cache) remove(entry *cached) {
	delete(c.known, entry.key)
	c.recent.Remove(entry.all)
	c.size -= entry.size
	own := c.holders[entry.holder]
	own.recent.Remove(entry.own)
	if own.size -= entry.size; own.recent.Len() == 0 {
		delete(c.holders, entry.holder)
	}
}

// close drops all decisions, and takes no more.
func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.size = 0
	c.recent.Init()
	clear(c.known)
	clear(c.holders)
}

// len returns how many decisions there are, and their bytes.
func (c *cache) len() (entries, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.known), c.size
}
