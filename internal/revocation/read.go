package revocation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/caddy-m2m/caddy-m2m/internal/folder"
)

const (
	// maxListings is how often one read lists the segments when some vanish after the listing, because their writers
	// have replaced them with larger ones.
	maxListings = 20
	// atOnce is how many segments are read or deleted concurrently.
	atOnce = 8
)

var errVanishing = errors.New("segments are replaced faster than they can be read")

// readAll reads the new segments and, from time to time, the others again. It removes what is over from memory and storage.
// A broken segment is reported once, is read again each time and does not affect the others. readAll returns how many
// entries it found, even if it fails.
func (s *Store) readAll(ctx context.Context) (read int, err error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	began := s.now()
	s.noticeClock(began)
	s.beginPass(began)
	keys, found, err := s.readNew(ctx)
	if err != nil && s.set.Load() == nil {
		s.Merge(found...) // it comes into force when everything is read
		return len(found), err
	}
	s.add(found, began) // also after an error
	s.noteDamage()
	if err == nil {
		s.looked.Store(began.UnixNano())
		s.verify(ctx, keys, began)
	}
	s.sweep(ctx, keys, began)
	return len(found), err
}

// noticeClock makes the store read all segments again after the clock was set back: while it was ahead, entries may have
// been removed that are not over. Only the wall clock shows this; the monotonic clock does not change.
func (s *Store) noticeClock(now time.Time) {
	now = now.Round(0)
	if now.Before(s.began) {
		clear(s.known)
		clear(s.spoiled)
		s.pass, s.verified = nil, time.Time{} // reading everything is a pass
		s.adding.Lock()
		defer s.adding.Unlock()
		if s.opened.After(now) { // or feeds would have everything until then
			s.opened = now
		}
	}
	s.began = now
}

// readNew returns the entries of the segments that were not read yet and, if it read them all, the keys of all segments.
func (s *Store) readNew(ctx context.Context) (keys []string, found []Entry, err error) {
	missing := make(map[string]bool)
	for range maxListings {
		keys, err := s.list(ctx)
		if err != nil {
			return nil, found, err
		}
		read, vanished, err := s.read(ctx, keys, s.known, missing)
		found = append(found, read...)
		if err != nil {
			return nil, found, err
		}
		if !vanished {
			s.forget(keys)
			return keys, found, nil
		}
	}
	return nil, found, unavailable("reading "+s.folder, errVanishing)
}

// list lists the segments.
func (s *Store) list(ctx context.Context) ([]string, error) {
	all, err := folder.List(ctx, s.storage, s.folder)
	if err != nil {
		return nil, unavailable("listing "+s.folder, err)
	}
	keys := slices.DeleteFunc(all, func(key string) bool { _, ok := endOf(key); return !ok })
	if !slices.ContainsFunc(keys, func(key string) bool { return s.known[key] }) { // it may be empty, or a lost mount
		if err := s.checkPresent(ctx); err != nil {
			return nil, err
		}
	}
	slices.Sort(keys) // so that each read fails with the same error
	return keys, nil
}

// read reads segments, except those to skip, and records which are missing. It returns the entries of those that are not
// known. A segment that vanished since the listing may have been replaced by one that the next listing has. A segment that
// is listed again and is missing again was lost or never stored: the storage for Redis lists an object before it stores it,
// and keeps listing it if the writer dies in between.
func (s *Store) read(ctx context.Context, keys []string, skip, missing map[string]bool) (found []Entry, vanished bool, err error) {
	now := s.now()
	fresh := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return isOver(key, now) || skip[key] })
	for n, got := range s.load(ctx, fresh) {
		switch key := fresh[n]; {
		case got == nil: // not read, because of an earlier error
		case isGone(got.err):
			vanished = vanished || !missing[key]
			missing[key] = true
		case got.err != nil && err == nil:
			err = unavailable("loading "+key, got.err)
		case got.err != nil: // the first error is enough
		case got.broken != nil:
			s.markBroken(key, got.broken)
			s.pass.saw(key, nil, nil)
		default:
			if !s.known[key] {
				found = append(found, got.entries...)
			}
			delete(s.broken, key)
			delete(s.spoiled, key)
			s.known[key] = true
			s.pass.saw(key, got.entries, s.set.Load())
		}
	}
	if ctx.Err() != nil { // the same error for every segment
		err = unavailable("reading "+s.folder, ctx.Err())
	}
	return found, vanished, err
}

// loaded is the result of reading a segment: its entries, why it is broken, or why it could not be read.
type loaded struct {
	entries     []Entry
	broken, err error
}

// load loads segments concurrently. It starts no further one after an error and returns nil for those.
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

// parallel calls do for 0 to n-1, atOnce of them concurrently. It starts them in order, and no further one once ctx is done.
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

// isOver reports whether all entries of a segment are over, by its key.
func isOver(key string, now time.Time) bool {
	at, _ := endOf(key)
	return !now.Before(at)
}

// markBroken records why a segment is broken, and reports each reason once.
func (s *Store) markBroken(key string, why error) {
	if s.broken[key] != why.Error() {
		s.broken[key] = why.Error()
		s.tell("reading the revocations in "+key, why)
	}
	if s.known[key] {
		delete(s.known, key)
		s.spoiled[key] = true
	}
}

// forget removes the names of segments that are no longer listed.
func (s *Store) forget(keys []string) {
	there := make(map[string]bool, len(keys))
	for _, key := range keys {
		there[key] = true
	}
	maps.DeleteFunc(s.known, func(key string, _ bool) bool { return !there[key] })
	maps.DeleteFunc(s.broken, func(key string, _ string) bool { return !there[key] })
	maps.DeleteFunc(s.spoiled, func(key string, _ bool) bool { return !there[key] })
}

// noteDamage records for Problem which segments are broken.
func (s *Store) noteDamage() {
	if len(s.broken) == 0 {
		s.damage.Store(nil)
		return
	}
	key := slices.Min(slices.Collect(maps.Keys(s.broken)))
	text := fmt.Sprintf("%d of its objects are broken: %s: %s", len(s.broken), key, s.broken[key])
	s.damage.Store(&text)
}
