package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// An index of a large registry lists the ids of all clients, sorted, with what their grants name. So a page of a list and
// the removal of a resource or an action need not read every client.
//
// The index consists of a root and pages. They are objects that never change: a change of the index stores new ones with
// new names, and the journal names the root that is in force. So the journal switches from one index to the next in the
// same write that ends a change of clients. A version of this program that does not know of indexes leaves the name out of
// the journal, and the index, which that version does not maintain, is no longer in force.
//
// The entries of clients that the journal names as pending may be wrong. Readers look these clients up, and the next
// writer corrects their entries.

const (
	// indexFrom is how many clients a registry without an index has at most. With fewer, a change need not write an index.
	indexFrom = 1_000
	// pageSize is how many clients a new page of the index has at most. A million clients have pages and a root of some 40
	// KiB each, which a change of the index writes.
	pageSize = 1_500
	// pageWeight is about how many bytes the ids and names of a new page have at most. Some storages take no more than 512
	// KiB as one object.
	pageWeight = 192 << 10
	// maxNames is how many names an entry has at most. A client with more counts as one whose grants name anything.
	maxNames = 32
	// digestBits is the size of a page's digest of names.
	digestBits = 512
)

// index is the root of an index.
type index struct {
	// Pages are in the order of their ids, without a gap: a page has the ids from its first one up to the next page.
	Pages []pageRef `json:"pages"`
	// Count is how many ids there are, and Sum is the exclusive or of their hashes.
	Count int    `json:"count"`
	Sum   uint64 `json:"sum,string"`
	// Replaced are the names of the objects of the former index that are not in this one. The next change deletes them, so
	// that a reader of the former journal can still read its index.
	Replaced []string `json:"replaced,omitempty"`
}

// pageRef is what the root has of a page.
type pageRef struct {
	Name  string `json:"name"`
	First string `json:"first"` // id
	// Digest has a bit for each name and for each resource in the page, and perhaps further ones.
	Digest []byte `json:"digest"`
}

// storedPage is a page as it is stored. Many clients have the same names, which are stored once.
type storedPage struct {
	IDs []string `json:"ids"`
	// Of are the positions in Named of the names of each client.
	Of    []int   `json:"of"`
	Named []names `json:"named"`
}

// entry is what the index has of a client.
type entry struct {
	id    string
	names names
}

// names are what the grants of a client name, as "resource:action", sorted.
type names []string

// unknownNames are the names of a client whose grants may name anything.
var unknownNames = names{"?"}

func namesOf(c *registry.Client) names {
	list := names{}
	for _, grant := range c.Grants {
		for _, action := range grant.Actions { // at least one
			list = append(list, grant.Resource+":"+action)
		}
	}
	slices.Sort(list)
	if list = slices.Compact(list); len(list) > maxNames {
		return unknownNames
	}
	return list
}

// concern reports whether the removal concerns grants with these names.
func (n names) concern(removed registry.Removed) bool {
	return slices.ContainsFunc(n, func(name string) bool {
		resource, action, ok := strings.Cut(name, ":")
		return !ok || removed.Concerns(resource, action)
	})
}

// digest has the bits of some names.
type digest []byte

func digestOf(entries []entry) digest {
	d := make(digest, digestBits/8)
	for _, e := range entries {
		for _, name := range e.names {
			resource, _, ok := strings.Cut(name, ":")
			if !ok {
				return slices.Repeat(digest{0xff}, digestBits/8)
			}
			d.set(name)
			d.set(resource)
		}
	}
	return d
}

func (d digest) set(name string) {
	bit := hash(name) % digestBits
	d[bit/8] |= 1 << (bit % 8)
}

// may reports whether the name may be one of the names.
func (d digest) may(name string) bool {
	bit := hash(name) % digestBits
	return len(d) != digestBits/8 || d[bit/8]&(1<<(bit%8)) != 0
}

// concern reports whether the removal may concern a page with this digest.
func (d digest) concern(removed registry.Removed) bool {
	for code := range removed.Resources {
		if d.may(code) {
			return true
		}
	}
	for pair := range removed.Actions {
		if d.may(pair[0] + ":" + pair[1]) {
			return true
		}
	}
	return false
}

func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return h.Sum64()
}

// sumOf returns the Sum of an index with these ids.
func sumOf(ids []string) (sum uint64) {
	for _, id := range ids {
		sum ^= hash(id)
	}
	return sum
}

// objects returns the names of the pages, and of what they replaced.
func (x *index) objects() []string {
	list := slices.Clone(x.Replaced)
	for _, p := range x.Pages {
		list = append(list, p.Name)
	}
	return list
}

// pageOf returns the position of the page that has the id, if any page has it.
func (x *index) pageOf(id string) int {
	after, found := slices.BinarySearchFunc(x.Pages, id, func(p pageRef, id string) int { return strings.Compare(p.First, id) })
	if found {
		return after
	}
	return max(after-1, 0)
}

// errNoIndex is the error about an index that does not exist or cannot be used.
var errNoIndex = errors.New("there is no index of the clients")

func indexLabel(name string) string { return "index " + name }

func (s *Store) indexFolder() string { return s.prefix + "/index" }
func (s *Store) indexKey(object string) string {
	return path.Join(s.indexFolder(), object+recordSuffix)
}

func newIndexName() string { return strconv.FormatUint(rand.Uint64(), 36) }

// loadIndex returns the root with that name. Its error wraps errNoIndex if the object is missing or damaged.
func (s *Store) loadIndex(ctx context.Context, name string) (*index, error) {
	root := new(index)
	if err := s.loadIndexObject(ctx, name, root); err != nil {
		return nil, err
	}
	return root, nil
}

func (s *Store) loadIndexObject(ctx context.Context, name string, object any) error {
	content, err := loadRecord(ctx, s.storage, s.indexKey(name), indexLabel(name))
	if err == nil {
		err = json.Unmarshal(content, object)
	}
	if err != nil && (!errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrBroken)) {
		return fmt.Errorf("%w: %s: %w", errNoIndex, s.indexKey(name), err)
	}
	return err
}

func (s *Store) storeIndexObject(ctx context.Context, object any) (name string, err error) {
	content, err := json.Marshal(object)
	if err != nil {
		return "", err
	}
	name = newIndexName()
	return name, storeRecord(ctx, s.storage, s.indexKey(name), indexLabel(name), content)
}

func (s *Store) loadPage(ctx context.Context, ref pageRef) ([]entry, error) {
	var stored storedPage
	if err := s.loadIndexObject(ctx, ref.Name, &stored); err != nil {
		return nil, err
	}
	entries := make([]entry, len(stored.IDs))
	for i, id := range stored.IDs {
		if i >= len(stored.Of) || stored.Of[i] < 0 || stored.Of[i] >= len(stored.Named) {
			return nil, fmt.Errorf("%w: %s has no names of %q", errNoIndex, s.indexKey(ref.Name), id)
		}
		entries[i] = entry{id, stored.Named[stored.Of[i]]}
	}
	return entries, nil
}

// storePages stores entries as as many pages as they need.
func (s *Store) storePages(ctx context.Context, entries []entry) (refs []pageRef, err error) {
	for len(entries) > 0 {
		n := s.fitting(entries)
		ref, err := s.storePage(ctx, entries[:n])
		if err != nil {
			return nil, err
		}
		refs, entries = append(refs, ref), entries[n:]
	}
	return refs, nil
}

// fitting returns how many of the entries the next page gets. A page that has grown by a third is divided in two.
func (s *Store) fitting(entries []entry) int {
	weight, full := 0, 0
	for i, e := range entries {
		weight += len(e.id)
		for _, name := range e.names {
			weight += len(name)
		}
		if full == 0 && (weight >= pageWeight || i+1 == s.pageSize) {
			full = i + 1
		}
	}
	switch pages := max(float64(weight)/pageWeight, float64(len(entries))/float64(s.pageSize)); {
	case pages <= 4.0/3:
		return len(entries)
	case pages < 2:
		return (len(entries) + 1) / 2
	}
	return full
}

func (s *Store) storePage(ctx context.Context, entries []entry) (pageRef, error) {
	stored := storedPage{IDs: make([]string, len(entries)), Of: make([]int, len(entries))}
	positions := make(map[string]int)
	for i, e := range entries {
		key := strings.Join(e.names, " ")
		position, known := positions[key]
		if !known {
			position = len(stored.Named)
			positions[key] = position
			stored.Named = append(stored.Named, e.names)
		}
		stored.IDs[i], stored.Of[i] = e.id, position
	}
	name, err := s.storeIndexObject(ctx, stored)
	return pageRef{name, entries[0].id, digestOf(entries)}, err
}
