package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// listingTTL is how long the list of all ids is kept in memory, so that each page of a list does not list them all again.
const listingTTL = 30 * time.Second

// listing holds the ids of all clients for a short time.
type listing struct {
	mu       sync.Mutex
	ids      []string // sorted
	revision string
	forget   *time.Timer
}

// ClientIDs implements registry.Registry. A page of a large registry is from the index, which is made in the background if
// there is none. All ids are from the storage: ClientIDs lists them if something has changed, or after half a minute
// without a call.
func (s *Store) ClientIDs(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	damaged := ""
	if limit > 0 {
		page, name, err := s.indexedIDs(ctx, prefix, after, limit)
		if err == nil {
			s.checkIndexLater()
		}
		if !errors.Is(err, errNoIndex) {
			return page, err
		}
		damaged = name
	}
	all, err := s.allIDs(ctx)
	if err != nil {
		return nil, err
	}
	if limit > 0 && len(all) > s.indexFrom {
		s.buildIndexLater(damaged)
	}
	return registry.PageOfIDs(all, prefix, after, limit), nil
}

func (s *Store) allIDs(ctx context.Context) ([]string, error) {
	s.listing.mu.Lock()
	defer s.listing.mu.Unlock()
	revision := s.Revision() // read first: a change during the listing makes the listing old
	if s.listing.ids == nil || s.listing.revision != revision || s.unfinished.Load() {
		ids, err := s.storedIDs(ctx)
		if err != nil {
			return nil, err
		}
		s.listing.ids, s.listing.revision = ids, revision
	}
	if s.listing.forget == nil {
		s.listing.forget = time.AfterFunc(listingTTL, s.forgetListing)
	}
	s.listing.forget.Reset(listingTTL)
	return s.listing.ids, nil
}

func (s *Store) forgetListing() {
	s.listing.mu.Lock()
	defer s.listing.mu.Unlock()
	s.listing.ids = nil
}
