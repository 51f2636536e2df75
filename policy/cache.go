package policy

import (
	"sync/atomic"
	"unsafe"
	"weak"

	"github.com/caddy-m2m/caddy-m2m/internal/lru"
)

// The bounds of the decisions that one policy keeps. Package lru gives each client a share of them.
const (
	maxCached      = 20_000
	maxCachedBytes = 16 << 20
)

// cache holds the decisions of one snapshot that were used lately. So it ends with the policy and its data. It holds no lock
// while a policy is evaluated: two requests may evaluate the same question at the same time, and do not wait for each other.
type cache struct {
	kept atomic.Pointer[lru.Cache[string, *cached]] // nil after close
}

// cached is a decision, with what it was made of.
type cached struct {
	versions
	value any // is shared by all who get it, and never changes
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

func newCache() *cache {
	c := new(cache)
	c.kept.Store(lru.New[string, *cached](maxCached, maxCachedBytes))
	return c
}

// get returns a decision, or nil if there is none.
func (c *cache) get(k key) *cached {
	kept := c.kept.Load()
	if kept == nil {
		return nil
	}
	found, _ := kept.Get(unsafe.String(unsafe.SliceData(k), len(k))) // Get does not keep it, so it need not be copied
	return found
}

// add adds a decision of a holder, unless it is too large. It replaces one with the same key, whose versions may be old.
func (c *cache) add(k key, holder string, entry *cached, size int) {
	kept := c.kept.Load()
	if kept == nil {
		return
	}
	text := string(k)
	kept.Delete(text)
	kept.Add(text, holder, entry, size+cachedSize+len(text)+len(entry.resources)*8)
}

// close drops all decisions, and takes no more.
func (c *cache) close() { c.kept.Store(nil) }

// len returns how many decisions there are, and their bytes.
func (c *cache) len() (entries, bytes int) {
	kept := c.kept.Load()
	if kept == nil {
		return 0, 0
	}
	return kept.Len()
}
