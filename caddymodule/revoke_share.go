package caddymodule

import (
	"sync"
	"time"
)

// revokedKept is how long a revocation is kept after its token has expired.
const revokedKept = 10 * time.Minute

// maxRevokedByClient is how many tokens of its own a client can have revoked at a time, at one node. All nodes, and
// all doors elsewhere, keep every one of them in memory until it has expired; a door reads no feed of more than
// 32 MiB, which is some 500,000, and takes no tokens once it cannot read the feed.
var maxRevokedByClient = 20_000

// revokedShares count what clients have revoked at this node and is still kept, so that none of them can fill the
// memory of all. What operators revoke does not count. The zero value is ready.
type revokedShares struct {
	mu    sync.Mutex
	of    map[string]*revokedShare // by client
	swept int64                    // the minute
}

// revokedShare is one client's.
type revokedShare struct {
	count int
	ends  map[int64]int // how many of them go in which minute
}

// take counts a token of the client, which expires then, unless the client has too many.
func (s *revokedShares) take(client string, expires, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now.Unix() / 60)
	share := s.of[client]
	if share == nil {
		share = &revokedShare{ends: make(map[int64]int)}
		s.of[client] = share
	}
	if share.count >= maxRevokedByClient {
		return false
	}
	share.count++
	share.ends[endMinute(expires)]++
	return true
}

// giveBack undoes take.
func (s *revokedShares) giveBack(client string, expires time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if share, end := s.of[client], endMinute(expires); share != nil && share.ends[end] > 0 {
		share.count--
		share.ends[end]--
	}
}

// sweep lets go of what is over, once a minute.
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

func endMinute(expires time.Time) int64 { return expires.Add(revokedKept).Unix() / 60 }
