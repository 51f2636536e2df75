package revocation

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"time"
)

// deleteTime is how long a sweep goes on to delete, for who waits for what others have revoked waits for that, too. The
// next one does the rest.
const deleteTime = time.Second

// sweep lets go of what is over, in memory and in storage, when it is time for that.
func (s *Store) sweep(ctx context.Context, keys []string, now time.Time) {
	if now.Sub(s.swept) < sweepInterval {
		return
	}
	s.swept = now
	s.adding.Lock()
	s.set.Store(s.set.Load().without(now))
	s.adding.Unlock()
	s.clean(ctx, slices.DeleteFunc(keys, func(key string) bool { return !isOver(key, now.Add(-storageGrace)) }))
}

// clean deletes segments. Other nodes may do the same.
func (s *Store) clean(ctx context.Context, keys []string) {
	beginning, stop := context.WithTimeout(ctx, deleteTime)
	defer stop()
	errs := make([]error, len(keys))
	parallel(beginning, len(keys), func(n int) { errs[n] = s.storage.Delete(ctx, keys[n]) })
	for n, err := range errs {
		if err != nil && !isGone(err) {
			s.noteKept(keys[n], err)
			return
		}
	}
	if len(keys) > 0 {
		s.deletions.Succeeded()
	}
}

// noteKept tells why an object could not be deleted, once for the same reason, whichever object it is: it does no harm.
func (s *Store) noteKept(key string, err error) {
	if s.deletions.Failed(errors.New(strings.ReplaceAll(err.Error(), path.Base(key), ""))) {
		s.tell("deleting "+key, err)
	}
}
