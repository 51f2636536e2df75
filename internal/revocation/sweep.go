package revocation

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"time"
)

// deleteTime is how long a sweep may start to delete segments. It delays what other nodes have revoked, so the next sweep
// does the rest.
const deleteTime = time.Second

// sweep removes what is over from memory and storage, once every sweepInterval.
func (s *Store) sweep(ctx context.Context, keys []string, now time.Time) {
	if now.Sub(s.swept) < sweepInterval {
		return
	}
	s.swept = now
	s.adding.Lock()
	s.set.Store(s.set.Load().without(now))
	s.shares.countAll(s.set.Load())
	s.adding.Unlock()
	s.clean(ctx, slices.DeleteFunc(keys, func(key string) bool { return !isOver(key, now.Add(-storageGrace)) }))
}

// clean deletes segments. Other nodes may delete the same ones.
func (s *Store) clean(ctx context.Context, keys []string) {
	beginning, stop := context.WithTimeout(ctx, deleteTime)
	defer stop()
	errs := make([]error, len(keys))
	parallel(beginning, len(keys), func(n int) { errs[n] = s.storage.Delete(ctx, keys[n]) })
	for n, err := range errs {
		if err != nil && !isGone(err) {
			s.noteUndeleted(keys[n], err)
			return
		}
	}
	if len(keys) > 0 {
		s.deletions.Succeeded()
	}
}

// noteUndeleted reports why an object could not be deleted. The object does no harm, so each reason is reported once,
// whichever object it is about.
func (s *Store) noteUndeleted(key string, err error) {
	if s.deletions.Failed(errors.New(strings.ReplaceAll(err.Error(), path.Base(key), ""))) {
		s.tell("deleting "+key, err)
	}
}
