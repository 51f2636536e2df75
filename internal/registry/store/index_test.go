package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// TestIndexAfterAnApplyThatDied: the journal does not say which clients an apply of many has changed.
func TestIndexAfterAnApplyThatDied(t *testing.T) {
	c, s := newLargeStore(t, 300)
	clients := make(map[string]*registry.Client)
	for i := range 600 {
		id := fmt.Sprintf("new-%03d", i)
		clients[id] = &registry.Client{ID: id, Grants: []scope.Grant{grant("book", "*", "edit")}}
	}
	data, err := json.Marshal(map[string]any{"clients": clients})
	if err != nil {
		t.Fatal(err)
	}
	c.failFrom("store", "/clients/", 500)
	var partly *store.PartlyAppliedError
	if _, err := s.Apply(ctx, "registry.json", data, store.ApplyOptions{}); !errors.As(err, &partly) {
		t.Fatalf("the apply says %v", err)
	}
	c.failing("nothing", "")
	other := newStore(c)
	remove := func(r *registry.Resource) (*registry.Resource, error) { delete(r.Actions, "edit"); return r, nil }
	for n, what := range []string{"after the apply", "after another change"} {
		ids, err := other.ClientIDs(ctx, "new-", "new-397", 200)
		if err != nil || len(ids) != 499-398+n {
			t.Errorf("%s %d clients are listed, %v", what, len(ids), err)
		}
		var inUse *registry.InUseError
		if _, err := other.EditResource(ctx, "book", remove); !errors.As(err, &inUse) {
			t.Errorf("%s a removal says %v", what, err)
		}
		putClient(t, other, "new-599")
	}
}

// newLargeStore returns a registry with an index of n clients, of which every hundredth has a grant on invoice.
func newLargeStore(t *testing.T, n int) (*connection, *store.Store) {
	t.Helper()
	c := &connection{memory: newMemory(), left: -1}
	s := newStore(c)
	s.SetIndexing(100, 100)
	putResource(t, s, "book", "read", "edit")
	putResource(t, s, "invoice", "pay", "see", "send")
	clients := make(map[string]*registry.Client, n)
	for i := range n {
		client := &registry.Client{ID: fmt.Sprintf("client-%06d", i)}
		client.Grants = append(client.Grants, grant("book", "*", "read"))
		if i%100 == 0 {
			client.Grants = append(client.Grants, grant("invoice", "*", "pay"))
		}
		clients[client.ID] = client
	}
	data, err := json.Marshal(map[string]any{"clients": clients})
	if err == nil {
		_, err = s.Apply(ctx, "registry.json", data, store.ApplyOptions{})
	}
	if err == nil {
		err = s.BuildIndex(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

// TestLargeRegistryReadsLittle: a page of a list and a removal read what they need, however many clients there are.
func TestLargeRegistryReadsLittle(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1_000, 4_000} {
		c, s := newLargeStore(t, n)
		reads := func(what string, most int, do func() error) {
			c.reads, c.lists = 0, 0
			if err := do(); err != nil {
				t.Errorf("%d clients: %s: %v", n, what, err)
			}
			if c.reads > most || c.lists > 0 {
				t.Errorf("%d clients: %s takes %d loads and %d listings", n, what, c.reads, c.lists)
			}
		}
		for what, at := range map[string]struct{ prefix, after string }{
			"first page": {"", ""}, "last page": {"", "client-000" + fmt.Sprint(n-51)}, "prefix": {"client-0009", ""},
		} {
			reads(what, 4, func() error {
				ids, err := s.ClientIDs(ctx, at.prefix, at.after, 50)
				if err == nil && len(ids) != 50 {
					err = fmt.Errorf("%d ids", len(ids))
				}
				return err
			})
		}
		without := func(action string) func(*registry.Resource) (*registry.Resource, error) {
			return func(r *registry.Resource) (*registry.Resource, error) { delete(r.Actions, action); return r, nil }
		}
		reads("a new resource", 4, func() error { putResource(t, s, "other", "x", "y"); return nil })
		reads("removal of an action that no grant names", 4, func() error { _, err := s.EditResource(ctx, "book", without("edit")); return err })
		reads("removal of an action of a resource that grants name", 4, func() error { _, err := s.EditResource(ctx, "invoice", without("send")); return err })
		reads("removal of what grants name", 4+10*2, func() error {
			var inUse *registry.InUseError
			if _, err := s.EditResource(ctx, "invoice", without("pay")); !errors.As(err, &inUse) || len(inUse.By) != 10 {
				return fmt.Errorf("it is %w", err)
			}
			return nil
		})
		reads("a change of a client's description", 4, func() error { return describe(s, "client-000001", "changed") })
		reads("a change of a client's grants", 6, func() error { putClient(t, s, "client-000001"); return nil })
	}
}

// TestRemovalFindsEveryKindOfGrant that a full scan finds, in a page in which nothing else concerns the removal.
func TestRemovalFindsEveryKindOfGrant(t *testing.T) {
	_, s := newLargeStore(t, 300)
	putClient(t, s, "client-000001", grant("*", "*", "send"))
	putClient(t, s, "client-000101", grant("invoice", "*", "see"))
	putClient(t, s, "client-000201", grant("book", "*", "edit"), grant("invoice", "*", "*"))
	with := func(code string, actions ...string) *registry.Resource {
		r := &registry.Resource{Code: code, Actions: make(map[string]string)}
		for _, action := range actions {
			r.Actions[action] = ""
		}
		return r
	}
	invoice := with("invoice", "pay", "see", "send")
	for name, test := range map[string]struct {
		change registry.Change
		want   string
	}{
		"an action":              {registry.ResourceChange("invoice", invoice, nil, with("invoice", "pay", "send")), "client-000101"},
		"an action of any":       {registry.ResourceChange("invoice", invoice, nil, with("invoice", "pay", "see")), "client-000001"},
		"an action that is left": {registry.ResourceChange("book", with("book", "read", "edit", "send"), nil, with("book", "read", "edit")), ""},
		"a resource":             {registry.ResourceChange("invoice", invoice, nil, nil), "client-000201"},
		"a broken resource":      {registry.ResourceChange("invoice", nil, registry.ErrBroken, nil), "client-000201"},
		"what was broken":        {registry.ResourceChange("book", nil, registry.ErrBroken, with("book", "read")), "client-000201"},
	} {
		indexed, scanned := s.CheckUnused(ctx, []registry.Change{test.change}, true), s.CheckUnused(ctx, []registry.Change{test.change}, false)
		var inUse *registry.InUseError
		if found := errors.As(scanned, &inUse) && slices.Contains(inUse.By, test.want); fmt.Sprint(indexed) != fmt.Sprint(scanned) || found != (test.want != "") {
			t.Errorf("%s: with the index: %v, without: %v", name, indexed, scanned)
		}
	}
}

// TestApplyWritesEachPageOnce: an apply of many clients writes the pages of the index that change, and its root.
func TestApplyWritesEachPageOnce(t *testing.T) {
	t.Parallel()
	c, s := newLargeStore(t, 4_000) // 40 pages
	writes := make(map[string]int)
	c.fail = func(operation, key string) error {
		if operation == "store" {
			writes[path.Base(path.Dir(key))]++
		}
		return nil
	}
	clients := make(map[string]*registry.Client)
	for i := range 400 {
		id := fmt.Sprintf("client-%06d-new", 10*i)
		clients[id] = &registry.Client{ID: id, Grants: []scope.Grant{grant("book", "*", "edit")}}
	}
	data, err := json.Marshal(map[string]any{"clients": clients})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(ctx, "registry.json", data, store.ApplyOptions{}); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"registry": 2, "clients": 400, "index": 41}; !maps.Equal(writes, want) {
		t.Errorf("it writes %v, want %v", writes, want)
	}
}

// TestSmallRegistryHasNoIndex: a change of a small registry writes the journal twice and the client once.
func TestSmallRegistryHasNoIndex(t *testing.T) {
	m, s := newBookStore(t)
	if _, err := s.ClientIDs(ctx, "", "", 10); err != nil {
		t.Fatal(err)
	}
	writes := 0
	m.fail = func(operation, _ string) error {
		if operation == "store" || operation == "delete" {
			writes++
		}
		return nil
	}
	putClient(t, s, "new", grant("book", "*", "read"))
	if writes != 3 {
		t.Errorf("a new client is %d writes", writes)
	}
}

// TestRemovalMakesAnIndex: the first removal in a large registry without an index makes one, and meanwhile another node
// changes the registry.
func TestRemovalMakesAnIndex(t *testing.T) {
	c, s := newLargeStore(t, 300)
	c.edit(journalKey, withoutIndex)
	other := newStore(c.memory)
	meanwhile := false
	c.onLoad = func(key string) {
		if !meanwhile && strings.HasSuffix(key, "clients/client-000150.json") {
			meanwhile = true
			s.Close()
			putClient(t, other, "client-000150", grant("book", "*", "edit"))
			other.Close()
		}
	}
	_, err := s.EditResource(ctx, "book", func(r *registry.Resource) (*registry.Resource, error) { delete(r.Actions, "edit"); return r, nil })
	var inUse *registry.InUseError
	if !errors.As(err, &inUse) || !slices.Equal(inUse.By, []string{"client-000150"}) {
		t.Errorf("the removal says %v", err)
	}
	if !meanwhile || !s.HasIndex(ctx) {
		t.Errorf("another node changed a client meanwhile: %v, there is an index: %v", meanwhile, s.HasIndex(ctx))
	}
}

// TestRemovalWithoutASpaceForTheIndex reads all clients.
func TestRemovalWithoutSpaceForTheIndex(t *testing.T) {
	c, s := newLargeStore(t, 300)
	c.edit(journalKey, withoutIndex)
	c.failing("store", "/index/")
	_, err := s.EditResource(ctx, "book", func(*registry.Resource) (*registry.Resource, error) { return nil, nil })
	var inUse *registry.InUseError
	if !errors.As(err, &inUse) || len(inUse.By) != 10 {
		t.Errorf("the removal says %v", err)
	}
	if _, err := s.EditResource(ctx, "book", func(r *registry.Resource) (*registry.Resource, error) { delete(r.Actions, "edit"); return r, nil }); err != nil {
		t.Errorf("another removal says %v", err)
	}
}

// TestChangeWithoutSpaceForTheIndex: a change does not fail because of the index, and lists do not use one that lacks it.
func TestChangeWithoutSpaceForTheIndex(t *testing.T) {
	c, s := newLargeStore(t, 300)
	var told []string
	s.OnFault = func(doing string, err error) { told = append(told, doing) }
	c.failing("store", "/index/")
	putClient(t, s, "a-new-one")
	if ids, err := s.ClientIDs(ctx, "", "", 1); err != nil || !slices.Equal(ids, []string{"a-new-one"}) {
		t.Errorf("the list is %q, %v", ids, err)
	}
	if !slices.Equal(told, []string{"changing the index of the clients"}) || s.HasIndex(ctx) {
		t.Errorf("told of %q, there is an index: %v", told, s.HasIndex(ctx))
	}
}

// TestIndexLeavesNothingBehind: what a change replaces is deleted with the next one, and what is left otherwise with the
// next index.
func TestIndexLeavesNothingBehind(t *testing.T) {
	c, s := newLargeStore(t, 300)
	count := func() (n int) {
		for _, key := range c.keys() {
			if strings.Contains(key, "/index/") {
				n++
			}
		}
		return n
	}
	pages := count()
	for i := range 50 {
		id := fmt.Sprintf("client-%06d", i)
		putClient(t, s, id, grant("book", "*", "edit"))
	}
	if n := count(); n != pages+2 {
		t.Errorf("%d objects after 50 changes, %d before", n, pages)
	}
	c.objects["test/registry/index/left.json"] = []byte("x")
	c.edit(journalKey, withoutIndex)
	if err := s.BuildIndex(ctx); err != nil || count() != pages {
		t.Errorf("%d objects of a new index: %v", count(), err)
	}
	for i := range 300 {
		id := fmt.Sprintf("client-%06d", i)
		if _, err := s.EditClient(ctx, id, func(*registry.Client) (*registry.Client, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
	}
	putClient(t, s, "one")
	if n := count(); n > 4 {
		t.Errorf("%d objects of the index of one client", n)
	}
}

func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// TestListDuringChanges: a list on one node has all clients that exist during it, while another node changes others around
// them.
func TestListDuringChanges(t *testing.T) {
	t.Parallel()
	c, writer := newLargeStore(t, 300)
	writer.SetIndexing(100, 10)
	reader := newStore(c.memory)
	reader.SetIndexing(100, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			added, deleted := fmt.Sprintf("client-%06d-%d", i, i), fmt.Sprintf("client-%06d-%d", i/2, i/2)
			_, err := writer.EditClient(ctx, added, func(*registry.Client) (*registry.Client, error) { return &registry.Client{ID: added}, nil })
			if err == nil {
				_, err = writer.EditClient(ctx, deleted, func(*registry.Client) (*registry.Client, error) { return nil, nil })
			}
			if err != nil {
				t.Error(err)
			}
		}
	}()
	for lists, more := 0, true; more || lists == 0; lists++ {
		select {
		case <-done:
			more = false
		default:
		}
		stable, after := 0, ""
		for {
			ids, err := reader.ClientIDs(ctx, "client-", after, 37)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				if id <= after {
					t.Fatalf("%q comes after %q", id, after)
				}
				if after = id; len(id) == len("client-000000") {
					stable++
				}
			}
			if len(ids) < 37 {
				break
			}
		}
		if stable != 300 {
			t.Fatalf("list %d has %d of 300 clients", lists, stable)
		}
	}
}
