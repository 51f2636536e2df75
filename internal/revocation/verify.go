package revocation

import (
	"context"
	"slices"
	"time"
)

const (
	// verifyInterval is how often all segments are read again, for a storage does not tell what it loses or damages.
	verifyInterval = 5 * time.Minute
	// verifyTime is how long one look goes on to begin such reads, and the writes that come of them, for who waits for what
	// others have revoked waits for that, too. The next look goes on from there.
	verifyTime = time.Second
)

// pass is a reading of all segments, in as many looks as it takes. It tells what of memory is in none of them.
type pass struct {
	seen    map[string]bool // the segments that were read
	missing map[string]bool // those that were listed, and were not there
	lost    layer           // what was known when it began, without what these have
	again   int             // how many entries of that were stored again
}

// beginPass begins a pass when it is time for one. It must come before the listing, for what is in memory by then has been
// stored; what comes to it later may not be listed. The first look is a pass as well, for what was told before it.
func (s *Store) beginPass(now time.Time) {
	if s.pass != nil || now.Sub(s.verified) < verifyInterval {
		return
	}
	s.adding.Lock()
	known, told := s.set.Load(), s.early
	s.adding.Unlock()
	s.verified = now
	s.pass = &pass{seen: make(map[string]bool), missing: make(map[string]bool), lost: known.with(told, now).joined()}
}

// saw notes that a segment was read, and what it has.
func (p *pass) saw(key string, entries []Entry) {
	if p == nil {
		return
	}
	p.seen[key] = true
	for _, e := range entries {
		p.lost.drop(e)
	}
}

// verify goes on with a pass and, once all is read, stores again what was lost. After an error the next pass begins anew.
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
		whole, err = s.storeAgain(ctx, beginning, now) // of its errors the write has told
	}
	if whole {
		s.endPass(ctx)
	}
	if whole || err != nil {
		s.pass = nil
	}
}

// readAgain reads segments that the pass has not seen. It is not whole when there was no time for some, or one vanished:
// then another may have come in its place, which the next listing has.
func (s *Store) readAgain(ctx, beginning context.Context, keys []string, now time.Time) (whole bool, err error) {
	unseen := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return s.pass.seen[key] })
	whole = true
	for some := range slices.Chunk(unseen, atOnce) {
		if beginning.Err() != nil {
			return false, nil
		}
		found, vanished, err := s.read(ctx, some, s.pass.seen, s.pass.missing)
		if len(found) > 0 { // one was mended just now
			s.add(found, now)
		}
		if err != nil {
			return false, err
		}
		whole = whole && !vanished
	}
	return whole, nil
}

// storeAgain stores what no segment has. It is not whole when there was no time for all.
func (s *Store) storeAgain(ctx, beginning context.Context, now time.Time) (whole bool, err error) {
	lost := &Set{old: s.pass.lost}
	for some := range slices.Chunk(lost.All(now), segmentSize) {
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

// endPass tells what was stored again, and deletes the broken segments that had been read when they were whole: all that
// was in them is in others.
func (s *Store) endPass(ctx context.Context) {
	if s.pass.again > 0 && s.OnRestored != nil {
		s.OnRestored(s.pass.again)
	}
	var needless []string
	for key := range s.spoilt {
		needless = append(needless, key)
	}
	s.clean(ctx, needless)
}
