package store

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// Resource returns a resource, or ErrNotFound.
func (s *Store) Resource(ctx context.Context, code string) (*registry.Resource, error) {
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	set := s.resources.Load()
	if r, ok := set.ByCode[code]; ok {
		return r, nil
	}
	if err, ok := set.Broken[code]; ok {
		return nil, err
	}
	return nil, registry.ErrNotFound
}

// Damage returns the error about the first resource whose object is broken, or nil if none is known to be.
func (s *Store) Damage() error {
	set := s.resources.Load()
	if set == nil || len(set.Broken) == 0 {
		return nil
	}
	return set.Broken[slices.Min(slices.Collect(maps.Keys(set.Broken)))]
}

// Resources returns all resources that are not broken, sorted by code. See Damage for the others.
func (s *Store) Resources(ctx context.Context) ([]*registry.Resource, error) {
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	return s.resources.Load().Sorted, nil
}

// readResources reads all resources. It reports and leaves out those whose objects are broken.
func (s *Store) readResources(ctx context.Context) error {
	codes, err := listIDs(ctx, s.storage, s.prefix+"/resources")
	if err == nil && len(codes) == 0 {
		err = s.checkNotLost(ctx)
	}
	if err != nil {
		return err
	}
	byCode, unusable := make(map[string]*registry.Resource, len(codes)), make(map[string]error)
	for _, code := range codes {
		r, err := s.readResource(ctx, code)
		if errors.Is(err, registry.ErrNotFound) {
			continue // deleted since the listing
		}
		if errors.Is(err, registry.ErrBroken) {
			unusable[code] = err
			continue
		}
		if err != nil {
			return err
		}
		byCode[code] = r
	}
	before := s.resources.Swap(registry.NewResourceSet(byCode, unusable))
	for code, err := range unusable {
		if before == nil || before.Broken[code] == nil { // not reported yet
			s.report("reading a resource", err)
		}
	}
	return nil
}

func (s *Store) readResource(ctx context.Context, code string) (*registry.Resource, error) {
	name, err := recordName(code)
	if err != nil {
		return nil, err
	}
	key := s.resourceKey(name)
	entry, err := loadRecord(ctx, s.storage, key, resourceLabel(code))
	if err != nil {
		return nil, err
	}
	r, err := registry.DecodeResource(code, entry)
	if err != nil {
		return nil, broken(key, err)
	}
	return r, nil
}
