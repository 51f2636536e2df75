package registry

import (
	"context"
	"slices"
	"sync"
	"time"
)

// listingKept is how long a list of all ids is kept, so that pages do not list everything anew.
const listingKept = 30 * time.Second

// listing is the ids of all clients, for a moment.
type listing struct {
	mu       sync.Mutex
	ids      []string // sorted
	revision string
	forget   *time.Timer
}

// ClientIDs returns client_ids in the order of their bytes: those that begin with prefix and come
// behind after, at most limit; a limit of 0 is none. It lists the whole storage when something has
// changed, or nobody has asked for half a minute.
func (s *Store) ClientIDs(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	all, err := s.allIDs(ctx)
	if err != nil {
		return nil, err
	}
	return pageOf(all, prefix, after, limit), nil
}

func (s *Store) allIDs(ctx context.Context) ([]string, error) {
	s.listing.mu.Lock()
	defer s.listing.mu.Unlock()
	revision := s.Revision() // before the list: what changes meanwhile makes it old
	if s.listing.ids == nil || s.listing.revision != revision {
		ids, err := listIDs(ctx, s.storage, s.prefix+"/clients")
		if err != nil {
			return nil, err
		}
		slices.Sort(ids)
		s.listing.ids, s.listing.revision = ids, revision
	}
	if s.listing.forget == nil {
		s.listing.forget = time.AfterFunc(listingKept, s.forgetListing)
	}
	s.listing.forget.Reset(listingKept)
	return s.listing.ids, nil
}

func (s *Store) forgetListing() {
	s.listing.mu.Lock()
	defer s.listing.mu.Unlock()
	s.listing.ids = nil
}
