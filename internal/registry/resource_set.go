package registry

import (
	"cmp"
	"maps"
	"slices"
)

// ResourceSet is all resources of a registry at one moment. It never changes.
type ResourceSet struct {
	// ByCode are the resources by their codes, and Sorted the same resources sorted by code.
	ByCode map[string]*Resource
	Sorted []*Resource
	// Broken are the errors about resources whose objects cannot be used, by their codes.
	Broken map[string]error
}

// NewResourceSet returns the set of these resources.
func NewResourceSet(byCode map[string]*Resource, broken map[string]error) *ResourceSet {
	sorted := slices.SortedFunc(maps.Values(byCode), func(a, b *Resource) int { return cmp.Compare(a.Code, b.Code) })
	return &ResourceSet{ByCode: byCode, Sorted: sorted, Broken: broken}
}

// With returns the set with one resource replaced, or removed if r is nil.
func (set *ResourceSet) With(code string, r *Resource) *ResourceSet {
	byCode, broken := maps.Clone(set.ByCode), maps.Clone(set.Broken)
	delete(byCode, code)
	delete(broken, code)
	if r != nil {
		byCode[code] = r
	}
	return NewResourceSet(byCode, broken)
}

// after returns the set that the changes lead to.
func (set *ResourceSet) after(changes []Change) *ResourceSet {
	for _, c := range changes {
		r, _ := c.After.(*Resource)
		set = set.With(c.ID, r)
	}
	return set
}

// codes returns the codes of all resources, including broken ones, sorted.
func (set *ResourceSet) codes() []string {
	codes := slices.AppendSeq(slices.Collect(maps.Keys(set.ByCode)), maps.Keys(set.Broken))
	slices.Sort(codes)
	return codes
}

func (set *ResourceSet) hasAction(action string) bool {
	return slices.ContainsFunc(set.Sorted, func(r *Resource) bool { return hasAction(r, action) })
}
