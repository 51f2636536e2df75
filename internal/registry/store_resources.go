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

// codes are those of all resources, also the broken ones, sorted.
func (set *resourceSet) codes() []string {
	codes := slices.AppendSeq(slices.Collect(maps.Keys(set.byCode)), maps.Keys(set.broken))
	slices.Sort(codes)
	return codes
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

// Damage is the error about the first resource whose object is broken; nil is that none is, as far as is
// known.
func (s *Store) Damage() error {
	set := s.resources.Load()
	if set == nil || len(set.broken) == 0 {
		return nil
	}
	return set.broken[slices.Min(slices.Collect(maps.Keys(set.broken)))]
}

// Resources returns all resources, sorted by code, but those that are broken: see Damage.
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
	if err == nil && len(codes) == 0 {
		err = s.checkThere(ctx)
	}
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
			continue
		}
		if err != nil {
			return err
		}
		byCode[code] = r
	}
	before := s.resources.Swap(newResourceSet(byCode, unusable))
	for code, err := range unusable {
		if before == nil || before.broken[code] == nil { // once
			s.tell("reading a resource", err)
		}
	}
	return nil
}

func (s *Store) readResource(ctx context.Context, code string) (*Resource, error) {
	name, err := recordName(code)
	if err != nil {
		return nil, err
	}
	key := s.resourceKey(name)
	entry, err := loadRecord(ctx, s.storage, key, resourceLabel(code))
	if err != nil {
		return nil, err
	}
	r, err := decodeResource(code, entry)
	if err != nil {
		return nil, broken(key, err)
	}
	return r, nil
}
