package policy

import (
	"slices"
	"sync/atomic"
)

// The kinds of decisions, as in [Caching].
const (
	TokenKind         = "token"
	DefaultScopesKind = "default_scopes"
	RequestKind       = "request"
)

// Caching says whether decisions of a kind are cached. They are, unless their rules reach a function such as time.now_ns,
// which gives another value each time.
type Caching struct {
	// Kind is TokenKind, DefaultScopesKind or RequestKind.
	Kind string `json:"kind"`
	// Cached reports whether an equal request gets the decision from the cache. If not, each decision is evaluated.
	Cached bool `json:"cached"`
	// Impure is why decisions are not cached: the first call of such a function, such as "hours.rego:12: rule
	// m2m.token.rejected calls time.now_ns".
	Impure string `json:"impure,omitempty"`
	// Reads are the members of the input that the rules may read, and on which a cached decision depends.
	Reads []string `json:"reads,omitempty"`
}

// CacheUse says how often decisions of a kind came from the cache since the engine was loaded.
type CacheUse struct {
	Caching
	// Hits came from the cache. Misses were evaluated, and are in the cache since unless they failed. Impure were evaluated because
	// decisions of this kind are not cached.
	Hits, Misses, Impure uint64
}

// CacheStatus is the state of the cache of the policy in force.
type CacheStatus struct {
	// Uses has all kinds of decisions that the policy makes.
	Uses []CacheUse
	// Entries and Bytes are what the cache holds.
	Entries, Bytes int
}

// uses counts decisions of a kind.
type uses struct{ hits, misses, evaluated atomic.Uint64 }

// Cache returns the state of the cache. If the policy has no rule for requests, there is no RequestKind, and before there is a
// policy, there is no kind.
func (e *Engine) Cache() CacheStatus {
	s := e.current.Load()
	if s == nil {
		return CacheStatus{}
	}
	var status CacheStatus
	status.Entries, status.Bytes = s.cache.len()
	for _, q := range cachedQueries {
		if q == requestQuery && !s.judges {
			continue
		}
		u := e.uses[q]
		status.Uses = append(status.Uses, CacheUse{
			Caching: s.caching(q), Hits: u.hits.Load(), Misses: u.misses.Load(), Impure: u.evaluated.Load(),
		})
	}
	return status
}

// Only returns the status with one kind of decision alone, for a policy that makes no others.
func (s CacheStatus) Only(kind string) CacheStatus {
	s.Uses = slices.DeleteFunc(slices.Clone(s.Uses), func(u CacheUse) bool { return u.Kind != kind })
	return s
}

func (s *snapshot) caching(q *query) Caching {
	c := Caching{Kind: q.kind, Cached: s.depends[q].varies == nil, Reads: s.depends[q].input.list("input")}
	if !c.Cached {
		c.Impure = s.depends[q].varies.String()
	}
	return c
}
