package revocation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// maxListings is how often one look lists the segments, when some vanish between its listing and its
	// reading: their writers have put larger ones in their place.
	maxListings = 20
	// atOnce is how many segments are read at a time, or deleted: in a flood there are hundreds.
	atOnce = 8
)

var errVanishing = errors.New("segments are replaced faster than they can be read")

// look reads the segments that are new and, from time to time, the others again. It deletes those that are over, and lets
// go of what is over in memory. A segment that is broken is told once, is read again at every look, and hinders no other.
// It says how many entries it has found, also when it fails.
func (s *Store) look(ctx context.Context) (read int, err error) {
	s.looking.Lock()
	defer s.looking.Unlock()
	began := s.now()
	s.noticeClock(began)
	s.beginPass(began)
	keys, found, err := s.readNew(ctx)
	if err != nil && s.set.Load() == nil {
		s.Merge(found...) // nothing of it is in force before all is read
		return len(found), err
	}
	s.add(found, began) // after a failure as well: what could be read counts
	s.noteDamage()
	if err == nil {
		s.looked.Store(began.UnixNano())
		s.verify(ctx, keys, began)
	}
	s.sweep(ctx, keys, began)
	return len(found), err
}

// noticeClock has all read again when the clock was put back: while it was ahead, memory may have let go of what is not
// over. Only the time on the wall tells; the monotonic one beside it goes on as if nothing had happened.
func (s *Store) noticeClock(now time.Time) {
	now = now.Round(0)
	if now.Before(s.began) {
		clear(s.known)
		clear(s.spoilt)
		s.pass, s.verified = nil, time.Time{} // reading all is a pass
		s.adding.Lock()
		defer s.adding.Unlock()
		if s.opened.After(now) { // feeds would tell all there is until then
			s.opened = now
		}
	}
	s.began = now
}

// readNew is what the segments hold that were not read yet, and their keys when it was all read.
func (s *Store) readNew(ctx context.Context) (keys []string, found []Entry, err error) {
	missing := make(map[string]bool)
	for range maxListings {
		keys, whole, err := s.list(ctx)
		if err != nil {
			return nil, found, err
		}
		read, vanished, err := s.read(ctx, keys, s.known, missing)
		found = append(found, read...)
		if err != nil {
			return nil, found, err
		}
		if whole && !vanished {
			s.forget(keys)
			return keys, found, nil
		}
	}
	return nil, found, unavailable("reading "+s.folder, errVanishing)
}

// list lists the segments. It is not whole when an object vanished meanwhile: Caddy's file storage ends
// there, with the error that it has for a folder that is not there, and it may be the first object.
func (s *Store) list(ctx context.Context) (keys []string, whole bool, err error) {
	all, err := s.storage.List(ctx, s.folder, false)
	if err != nil && !isGone(err) {
		return nil, false, unavailable("listing "+s.folder, err)
	}
	for _, key := range all {
		if _, ok := endOf(key); ok {
			keys = append(keys, key)
		}
	}
	if !slices.ContainsFunc(keys, func(key string) bool { return s.known[key] }) { // it may be empty, or another storage
		if err := s.checkPresent(ctx); err != nil {
			return nil, false, err
		}
	}
	slices.Sort(keys) // so that the same error comes first at each look
	return keys, err == nil || !s.storage.Exists(ctx, s.folder), nil
}

// read reads segments but those to skip, some at a time, and notes those that are missing. It finds what is in those that
// are not known. One that has vanished since it was listed may have another in its place, which the next listing has. One
// that is listed again, and again is not there, was never stored, and nobody was told that it was, or is lost: a storage
// may list an object before it has it, as that of Redis does, and go on listing it when it or its writer dies in between.
func (s *Store) read(ctx context.Context, keys []string, skip, missing map[string]bool) (found []Entry, vanished bool, err error) {
	now := s.now()
	fresh := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return isOver(key, now) || skip[key] })
	for n, got := range s.load(ctx, fresh) {
		switch key := fresh[n]; {
		case got == nil: // it was not begun after an error
		case isGone(got.err):
			vanished = vanished || !missing[key]
			missing[key] = true
		case got.err != nil && err == nil:
			err = unavailable("loading "+key, got.err)
		case got.err != nil: // the first says enough, and the same one at each look
		case got.broken != nil:
			s.breaks(key, got.broken)
			s.pass.saw(key, nil)
		default:
			if !s.known[key] {
				found = append(found, got.entries...)
			}
			delete(s.broken, key)
			delete(s.spoilt, key)
			s.known[key] = true
			s.pass.saw(key, got.entries)
		}
	}
	if ctx.Err() != nil { // no matter which of them it would have been
		err = unavailable("reading "+s.folder, ctx.Err())
	}
	return found, vanished, err
}

// loaded is what came of reading a segment: its entries, why it is broken, or why it could not be read.
type loaded struct {
	entries     []Entry
	broken, err error
}

// load loads segments. It begins none after an error; what was not begun is nil.
func (s *Store) load(ctx context.Context, keys []string) []*loaded {
	segments := make([]*loaded, len(keys))
	beginning, stop := context.WithCancel(ctx)
	defer stop()
	parallel(beginning, len(keys), func(n int) {
		object, err := s.storage.Load(ctx, keys[n])
		if err != nil {
			if segments[n] = (&loaded{err: err}); !isGone(err) {
				stop()
			}
			return
		}
		entries, err := decodeSegment(keys[n], object)
		segments[n] = &loaded{entries: entries, broken: err}
	})
	return segments
}

// parallel does n things, some at a time. It begins them in their order, and none any more once ctx is done.
func parallel(ctx context.Context, n int, do func(n int)) {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for k := range n {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			do(k)
			return nil
		})
	}
	_ = group.Wait()
}

// isOver reports whether all entries of a segment are over.
func isOver(key string, now time.Time) bool {
	at, _ := endOf(key)
	return !now.Before(at)
}

func (s *Store) breaks(key string, why error) {
	if s.broken[key] != why.Error() {
		s.broken[key] = why.Error()
		s.tell("reading the revocations in "+key, why)
	}
	if s.known[key] {
		delete(s.known, key)
		s.spoilt[key] = true
	}
}

// forget lets go of the names of segments that are gone, or over.
func (s *Store) forget(keys []string) {
	there := make(map[string]bool, len(keys))
	for _, key := range keys {
		there[key] = true
	}
	maps.DeleteFunc(s.known, func(key string, _ bool) bool { return !there[key] })
	maps.DeleteFunc(s.broken, func(key string, _ string) bool { return !there[key] })
	maps.DeleteFunc(s.spoilt, func(key string, _ bool) bool { return !there[key] })
}

// noteDamage notes what is broken, for Problem.
func (s *Store) noteDamage() {
	if len(s.broken) == 0 {
		s.damage.Store(nil)
		return
	}
	key := slices.Min(slices.Collect(maps.Keys(s.broken)))
	text := fmt.Sprintf("%d of its objects are broken: %s: %s", len(s.broken), key, s.broken[key])
	s.damage.Store(&text)
}
