package revocation

import (
	"context"
	"slices"
	"time"
)

// Compaction removes redundant entries from the storage. Any node deletes a segment of which nothing is left. What is left of
// others is stored again by the node that stored the revocation of the client, so that not every node does. If that node ends
// before, those segments stay until their last entry is over.
//
// A redundant entry goes only after a segment with the entry that makes it redundant was read in the same pass.

// stale notes a segment that has redundant entries.
func (p *pass) stale(key string, entries []Entry, set *Set) {
	for _, e := range entries {
		c, former := client{e.Before.Unix(), e.Expires.Unix()}, p.clients.clients[e.ClientID]
		if e.ClientID != "" && (c.before > former.before || c.before == former.before && c.expires > former.expires) {
			p.clients.clients[e.ClientID] = c // the one that stays, and not several in one
		}
	}
	if slices.ContainsFunc(entries, set.redundant) {
		p.stales[key] = entries
	}
}

// compact deletes stale segments. If time runs out, the next pass continues.
func (s *Store) compact(ctx, beginning context.Context, now time.Time) {
	stored := &Set{old: s.pass.clients}
	var gone, partly []string
	var left []Entry
	for key, entries := range s.pass.stales {
		rest := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool {
			return stored.redundant(e) || over(e.Expires.Unix(), now.Add(-storageGrace))
		})
		switch {
		case len(rest) == 0:
			gone = append(gone, key)
		case s.pass.rewrite && len(rest) <= len(entries)*3/4:
			partly, left = append(partly, key), append(left, rest...)
		}
	}
	for some := range slices.Chunk(left, segmentSize) {
		if beginning.Err() != nil || s.store(ctx, some) != nil { // the write reports its errors
			s.rewrite.Store(true)
			partly = nil
			break
		}
	}
	s.clean(ctx, append(gone, partly...))
}
