package policy

import "sync/atomic"

// Kind names of decisions, as in [Caching].
const (
	TokenKind         = "token"
	DefaultScopesKind = "default_scopes"
	RequestKind       = "request"
)

// Caching says whether decisions of a kind are cached. A decision is, unless its policy reaches a function such as
// time.now_ns that gives another value each time.
type Caching struct {
	// Kind is TokenKind, DefaultScopesKind or RequestKind.
	Kind string `json:"kind"`
	// Cached reports whether equal requests get the decision from the cache. Otherwise each one is evaluated.
	Cached bool `json:"cached"`
	// Impure is why they are not cached: the first call of such a function, such as "hours.rego:12: rule m2m.token.rejected
	// calls time.now_ns".
	Impure string `json:"impure,omitempty"`
	// Reads are the members of the input on which a cached decision depends.
	Reads []string `json:"reads,omitempty"`
}

// CacheUse is Caching, with how often the cache was used since the engine was loaded.
type CacheUse struct {
	Caching
	// Hits are decisions from the cache, Misses are those that were evaluated and then cached, and Impure those that were
	// evaluated because of what the policy calls.
	Hits, Misses, Evaluated uint64
}

// CacheStatus is the state of the cache of the policy in force.
type CacheStatus struct {
	// Decisions are the kinds of decisions that the policy makes.
	Decisions []CacheUse
	// Entries and Bytes are what the cache holds.
	Entries, Bytes int
}

// uses counts decisions of a kind.
type uses struct{ hits, misses, evaluated atomic.Uint64 }
