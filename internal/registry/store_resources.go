package registry

import (
	"context"
	"errors"
	"maps"
	"slices"
)

// resourceSet is all resources at one moment.
type resourceSet struct {
	byCode map[string]*Resource
	sorted []*Resource
	broken map[string]error // those whose objects cannot be used
}

func newResourceSet(byCode map[string]*Resource, broken map[string]error) *resourceSet {
	set := &resourceSet{byCode: byCode, broken: broken}
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		set.sorted = append(set.sorted, byCode[code])
	}
	return set
}

// Resource returns a resource, or ErrNotFound.
func (s *Store) Resource(ctx context.Context, code string) (*Resource, error) {
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	set := s.resources.Load()
	if r, ok := set.byCode[code]; ok {
		return r, nil
	}
	if err, ok := set.broken[code]; ok {
		return nil, err
	}
	return nil, ErrNotFound
}

// Resources returns all resources, sorted by code.
func (s *Store) Resources(ctx context.Context) ([]*Resource, error) {
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	return s.resources.Load().sorted, nil
}

// readResources reads all of them. One whose object is broken is left out, loudly, and does no harm to
// the others.
func (s *Store) readResources(ctx context.Context) error {
	codes, err := listIDs(ctx, s.storage, s.prefix+"/resources")
	if err != nil {
		return err
	}
	byCode, unusable := make(map[string]*Resource, len(codes)), make(map[string]error)
	for _, code := range codes {
		r, err := s.readResource(ctx, code)
		if errors.Is(err, ErrNotFound) {
			continue // deleted meanwhile
		}
		if errors.Is(err, errBroken) {
			unusable[code] = err
			s.tell("reading a resource", err)
			continue
		}
		if err != nil {
			return err
		}
		byCode[code] = r
	}
	s.resources.Store(newResourceSet(byCode, unusable))
	return nil
}

func (s *Store) readResource(ctx context.Context, code string) (*Resource, error) {
	name, err := recordName(code)
	if err != nil {
		return nil, err
	}
	key := s.resourceKey(name)
	entry, err := loadRecord(ctx, s.storage, key, code)
	if err != nil {
		return nil, err
	}
	r, err := decodeResource(code, entry)
	if err != nil {
		return nil, broken(key, err)
	}
	return r, nil
}
