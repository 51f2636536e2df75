package issuer

import (
	"sync"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
)

// MaxRevokedByClient is how many of its own tokens a client can have revoked at a time, at one node. All nodes and all
// remote doors keep each of them in memory until it has expired. A door reads a feed of at most 32 MiB, which is
// some 500,000 revocations, and lets no token in once it cannot read the feed.
var MaxRevokedByClient = 20_000

// revokedShares counts the revocations of each client at this node that are still kept, so that one client cannot fill
// the memory of all nodes. Revocations by operators do not count. The zero value is ready to use.
type revokedShares struct {
	mu    sync.Mutex
	of    map[string]*revokedShare // by client
	swept int64                    // the minute of the last sweep
}

// revokedShare is the count of one client.
type revokedShare struct {
	count int
	ends  map[int64]int // by the minute in which they are dropped
}

// take counts the revocation of a token that expires then. It reports false if the client has too many.
func (s *revokedShares) take(client string, expires, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now.Unix() / 60)
	share := s.of[client]
	if share == nil {
		share = &revokedShare{ends: make(map[int64]int)}
		s.of[client] = share
	}
	if share.count >= MaxRevokedByClient {
		return false
	}
	share.count++
	share.ends[endMinute(expires)]++
	return true
}

// release undoes take.
func (s *revokedShares) release(client string, expires time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if share, end := s.of[client], endMinute(expires); share != nil && share.ends[end] > 0 {
		share.count--
		share.ends[end]--
	}
}

// sweep drops the revocations that are no longer kept, once a minute.
func (s *revokedShares) sweep(minute int64) {
	if s.of == nil {
		s.of = make(map[string]*revokedShare)
	}
	if minute == s.swept {
		return
	}
	s.swept = minute
	for client, share := range s.of {
		for end, n := range share.ends {
			if end < minute {
				share.count -= n
				delete(share.ends, end)
			}
		}
		if share.count == 0 {
			delete(s.of, client)
		}
	}
}

func endMinute(expires time.Time) int64 { return expires.Add(revocation.Grace).Unix() / 60 }
