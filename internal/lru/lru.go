// Package lru keeps values in memory, bounded in entries and in bytes, with a share for each owner. A value that was used
// lately stays. Start with New. The package imports nothing of this module.
package lru

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"unsafe"
)

const (
	// share bounds what an owner can displace: it may push out the entries of others until it holds 1/share of the cache.
	// Beyond that it uses free room or replaces its own entries.
	share = 8
	// largestShare bounds one entry to 1/largestShare of the bytes.
	largestShare = 128
	// secondChances bounds how many entries that were used lately are passed over to find one to remove.
	secondChances = 16
	// parts of the index have a lock each, so that readers seldom meet.
	parts = 16
)

// Cache holds values of owners, such as clients. It is safe for concurrent use. Get holds a lock only to look up a key, and
// readers do not wait for each other.
//
// An owner that can make any number of entries can push those of others out of an eighth of the cache. Several owners
// together can push out more.
type Cache[K comparable, V any] struct {
	entries, bytes int // the bounds
	seed           maphash.Seed
	index          [parts]part[K, V]

	mu     sync.Mutex // guards what follows, the links of entries, and writes to the index
	recent list[K, V]
	owners map[string]*owner[K, V]
}

type part[K comparable, V any] struct {
	sync.RWMutex
	known map[K]*entry[K, V]
	_     [32]byte // so that the locks of two parts are seldom in one line of a processor's cache
}

// entry is one value. It is in two lists: that of all entries, and that of its owner.
type entry[K comparable, V any] struct {
	key   K
	value V
	size  int
	owner *owner[K, V]
	used  atomic.Bool // since it was added or last passed over
	links [2]link[K, V]
}

type owner[K comparable, V any] struct {
	name string
	list[K, V]
}

// New returns a Cache of at least one and at most the given number of entries, within the given number of bytes.
func New[K comparable, V any](entries, bytes int) *Cache[K, V] {
	c := &Cache[K, V]{entries: max(entries, 1), bytes: bytes, seed: maphash.MakeSeed(), owners: make(map[string]*owner[K, V])}
	for n := range c.index {
		c.index[n].known = make(map[K]*entry[K, V])
	}
	return c
}

func (c *Cache[K, V]) part(key K) *part[K, V] {
	return &c.index[maphash.Comparable(c.seed, key)%parts]
}

// Get returns a value and notes that it was used.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) {
	value, _, ok = c.GetAgain(key)
	return value, ok
}

// GetAgain is like Get. It also reports whether the value was used before. That is forgotten of a value that was nearly removed.
func (c *Cache[K, V]) GetAgain(key K) (value V, again, ok bool) {
	p := c.part(key)
	p.RLock()
	e := p.known[key]
	p.RUnlock()
	if e == nil {
		return value, false, false
	}
	if again = e.used.Load(); !again { // a write would take the line from other processors
		e.used.Store(true)
	}
	return e.value, again, true
}

// Add adds a value, unless its key is there already or it is too large, and reports whether it did. The size is that of what
// the key and the value refer to, in bytes. The cache adds what it needs itself.
func (c *Cache[K, V]) Add(key K, name string, value V, size int) bool {
	size += c.entrySize()
	if size > c.bytes/largestShare {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.part(key)
	if p.known[key] != nil { // only who holds c.mu writes
		return false
	}
	own := c.owners[name]
	if own == nil {
		own = &owner[K, V]{name: name, list: list[K, V]{which: ofOwner}}
	}
	for c.recent.len > 0 && (c.recent.len >= c.entries || c.size()+size+c.ownerSize(own) > c.bytes) {
		c.remove(c.leastUsed(own, size))
	}
	c.owners[name] = own // it was deleted if its last entry was removed
	e := &entry[K, V]{key: key, value: value, size: size, owner: own}
	c.recent.pushFront(e)
	own.pushFront(e)
	p.Lock()
	p.known[key] = e
	p.Unlock()
	return true
}

// leastUsed returns the entry to remove when an owner needs room for another of this size.
func (c *Cache[K, V]) leastUsed(own *owner[K, V], size int) *entry[K, V] {
	if own.len > 0 && (own.len >= c.entries/share || own.size+size > c.bytes/share) {
		return own.leastUsed()
	}
	return c.recent.leastUsed()
}

// Delete removes a value.
func (c *Cache[K, V]) Delete(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.part(key).known[key]; e != nil {
		c.remove(e)
	}
}

func (c *Cache[K, V]) remove(e *entry[K, V]) {
	p := c.part(e.key)
	p.Lock()
	delete(p.known, e.key)
	p.Unlock()
	c.recent.remove(e)
	if e.owner.remove(e); e.owner.len == 0 {
		delete(c.owners, e.owner.name)
	}
}

// Len returns the number of entries and the bytes that they take.
func (c *Cache[K, V]) Len() (entries, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recent.len, c.size()
}

// size returns what all entries and owners take.
func (c *Cache[K, V]) size() int { return c.recent.size + len(c.owners)*emptyOwner[K, V]() }

// entrySize returns what the cache needs for an entry, with its place in the index. A map of Go has up to 2.5 times the room
// of its entries.
func (c *Cache[K, V]) entrySize() int {
	var e entry[K, V]
	return int(unsafe.Sizeof(e))*9/8 + (int(unsafe.Sizeof(e.key)+unsafe.Sizeof(&e))+1)*5/2
}

// ownerSize returns what an owner needs that is not counted yet.
func (c *Cache[K, V]) ownerSize(own *owner[K, V]) int {
	if own.len > 0 {
		return 0
	}
	return emptyOwner[K, V]()
}

// emptyOwner is an owner, with its place in the map and a name of usual length. Names are bounded by those who call Add.
func emptyOwner[K comparable, V any]() int {
	var o owner[K, V]
	return int(unsafe.Sizeof(o))*9/8 + int(unsafe.Sizeof(o.name)+unsafe.Sizeof(&o)+1)*5/2 + 64
}
