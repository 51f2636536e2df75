package store

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// objects is a storage with only what pages need.
type objects map[string][]byte

func (o objects) Load(_ context.Context, key string) ([]byte, error) {
	if object, ok := o[key]; ok {
		return object, nil
	}
	return nil, fs.ErrNotExist
}
func (o objects) Store(_ context.Context, key string, object []byte) error {
	o[key] = object
	return nil
}
func (o objects) Delete(_ context.Context, key string) error           { delete(o, key); return nil }
func (o objects) List(context.Context, string, bool) ([]string, error) { return nil, nil }
func (o objects) Exists(context.Context, string) bool                  { return true }
func (o objects) Lock(context.Context, string) error                   { return nil }
func (o objects) Unlock(context.Context, string) error                 { return nil }

// TestPagesOfTheIndex: pages have all entries, in order, and stay small for clients whose grants name much.
func TestPagesOfTheIndex(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("the seed is %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, most := range []int{0, 2, maxNames} {
		stored := make(objects)
		s := New(stored, "registry")
		root := new(index)
		var want []entry
		for round := range 30 { // all new ones are in one page of the former round
			changes := make(map[string]names)
			for i := range random.IntN(400) {
				list := names{}
				for n := range random.IntN(most + 1) {
					list = append(list, fmt.Sprintf("resource-%03d-%d:action", random.IntN(500), n))
				}
				slices.Sort(list)
				e := entry{fmt.Sprintf("client-%03d-%05d", round%3, 1000*round+i), list}
				changes[e.id] = list
				want = append(want, e)
			}
			next, err := s.withChanges(t.Context(), root, changes)
			if err != nil {
				t.Fatal(err)
			}
			root = next
		}
		slices.SortFunc(want, func(a, b entry) int { return strings.Compare(a.id, b.id) })
		v := &indexView{store: s, root: root}
		var got []entry
		for e, err := range v.entries(t.Context(), "", nil) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		if !slices.EqualFunc(got, want, entry.equal) || root.Count != len(want) {
			t.Errorf("with up to %d names there are %d entries, counted %d, instead of %d", most, len(got), root.Count, len(want))
		}
		for _, p := range root.Pages {
			if size := len(stored[s.indexKey(p.Name)]); size > 2*pageWeight {
				t.Errorf("with up to %d names a page has %d bytes", most, size)
			}
		}
		if few := 2 + 2*len(want)/pageSize; most < maxNames && len(root.Pages) > few {
			t.Errorf("with up to %d names %d entries have %d pages", most, len(want), len(root.Pages))
		}
	}
}

// TestNamesOfManyGrants: a client that names too much for an entry is one that may name anything.
func TestNamesOfManyGrants(t *testing.T) {
	c := new(registry.Client)
	removed := registry.Removed{Actions: map[[2]string]bool{{"other", "action"}: true}}
	for i := range maxNames + 1 {
		n := namesOf(c)
		if len(n) != i || n.concern(removed) || digestOf([]entry{{"id", n}}).concern(removed) && i < 3 {
			t.Errorf("%d grants have the names %q", i, n)
		}
		c.Grants = append(c.Grants, scope.Grant{Resource: "book", Actions: []string{fmt.Sprint("action-", i)}})
	}
	if n := namesOf(c); !n.concern(removed) || !digestOf([]entry{{"id", n}}).concern(removed) {
		t.Errorf("%d grants have the names %q", maxNames+1, n)
	}
}
