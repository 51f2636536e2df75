package revocation

import (
	"context"
	"maps"
	"slices"
	"time"
)

const (
	// verifyInterval is how often all segments are read again to find those that the storage has lost or damaged.
	verifyInterval = 5 * time.Minute
	// verifyTime is how long one read may start to verify segments and to store them again. It delays what other nodes have
	// revoked, so the next read continues from there.
	verifyTime = time.Second
)

// pass reads all segments over as many reads as it takes. It finds the entries in memory that no segment has.
type pass struct {
	seen    map[string]bool    // the segments that were read
	missing map[string]bool    // the segments that were listed and could not be loaded
	lost    layer              // what was known when the pass began, except what it has seen
	again   int                // how many lost entries were stored again
	clients layer              // the revocations of clients that segments have
	stales  map[string][]Entry // the segments that have redundant entries
	rewrite bool               // what is left of them is stored again
}

// beginPass begins a pass when one is due. It runs before the listing, because only what is in memory by then is certainly
// stored and listed. The first read is a pass, too, for the entries that were merged before it. A pass is also due when this
// node has made entries redundant.
func (s *Store) beginPass(now time.Time) {
	if s.pass != nil || now.Sub(s.verified) < verifyInterval && !s.rewrite.Load() {
		return
	}
	s.adding.Lock()
	known, pending := s.set.Load(), s.pending
	s.adding.Unlock()
	s.verified = now
	s.pass = &pass{
		seen: make(map[string]bool), missing: make(map[string]bool), lost: known.with(pending, now).joined(),
		stales: make(map[string][]Entry), rewrite: s.rewrite.Swap(false),
	}
	s.pass.clients.init()
}

// saw records that a segment was read, and its entries.
func (p *pass) saw(key string, entries []Entry, set *Set) {
	if p == nil {
		return
	}
	p.seen[key] = true
	p.stale(key, entries, set)
	for _, e := range entries {
		p.lost.drop(e)
	}
}

// verify continues a pass and, once everything is read, stores again what was lost. An error ends the pass.
func (s *Store) verify(ctx context.Context, keys []string, now time.Time) {
	if s.pass == nil {
		return
	}
	beginning, stop := context.WithTimeout(ctx, verifyTime)
	defer stop()
	whole, err := s.readAgain(ctx, beginning, keys, now)
	s.noteDamage()
	if err != nil {
		s.tell("reading all revocations again", err)
	} else if whole {
		whole, err = s.storeAgain(ctx, beginning, now) // the write reports its errors
	}
	if whole {
		s.compact(ctx, beginning, now)
		s.endPass(ctx)
	}
	if whole || err != nil {
		s.pass = nil
	}
}

// readAgain reads segments that the pass has not seen. The result is not whole if time ran out or if a segment vanished,
// which may have been replaced by one that the next listing has.
func (s *Store) readAgain(ctx, beginning context.Context, keys []string, now time.Time) (whole bool, err error) {
	unseen := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return s.pass.seen[key] })
	whole = true
	for some := range slices.Chunk(unseen, atOnce) {
		if beginning.Err() != nil {
			return false, nil
		}
		found, vanished, err := s.read(ctx, some, s.pass.seen, s.pass.missing)
		if len(found) > 0 { // a broken segment was repaired
			s.add(found, now)
		}
		if err != nil {
			return false, err
		}
		whole = whole && !vanished
	}
	return whole, nil
}

// storeAgain stores the entries that no segment has. The result is not whole if time ran out.
func (s *Store) storeAgain(ctx, beginning context.Context, now time.Time) (whole bool, err error) {
	lost := (&Set{old: s.pass.lost}).All(now)
	lost = slices.DeleteFunc(lost, s.set.Load().redundant) // another node has deleted them
	for some := range slices.Chunk(lost, segmentSize) {
		if beginning.Err() != nil {
			return false, nil
		}
		if err := s.store(ctx, some); err != nil {
			return false, err
		}
		s.pass.again += len(some)
		for _, e := range some {
			s.pass.lost.drop(e)
		}
	}
	return true, nil
}

// endPass reports what was stored again, and deletes the broken segments that were read when they were whole: other segments
// have all their entries now.
func (s *Store) endPass(ctx context.Context) {
	if s.pass.again > 0 && s.OnRestored != nil {
		s.OnRestored(s.pass.again)
	}
	s.clean(ctx, slices.Collect(maps.Keys(s.spoiled)))
}
