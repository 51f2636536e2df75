package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

var ctx = context.Background()

func newStore(storage store.Storage) *store.Store {
	return store.New(storage, "test/registry")
}

// newBookStore returns a store with the resource book and the client ci-bot, which may read every book.
func newBookStore(t *testing.T) (*memory, *store.Store) {
	t.Helper()
	m := newMemory()
	s := newStore(m)
	putResource(t, s, "book", "read", "edit")
	putClient(t, s, "ci-bot", grant("book", "*", "read"))
	return m, s
}

func grant(resource, identifier, action string) scope.Grant {
	return scope.Grant{Resource: resource, Identifiers: []string{identifier}, Actions: []string{action}}
}

func putResource(t *testing.T, s *store.Store, code string, actions ...string) registry.Change {
	t.Helper()
	change, err := s.EditResource(ctx, code, func(*registry.Resource) (*registry.Resource, error) {
		r := &registry.Resource{Code: code, Actions: make(map[string]string)}
		for _, action := range actions {
			r.Actions[action] = ""
		}
		return r, nil
	})
	if err != nil {
		t.Fatalf("putting resource %s: %v", code, err)
	}
	return change
}

func putClient(t *testing.T, s *store.Store, id string, grants ...scope.Grant) registry.Change {
	t.Helper()
	change, err := s.EditClient(ctx, id, func(*registry.Client) (*registry.Client, error) {
		return &registry.Client{ID: id, Grants: grants}, nil
	})
	if err != nil {
		t.Fatalf("putting client %s: %v", id, err)
	}
	return change
}

// describe changes a client's description.
func describe(s *store.Store, id, description string) error {
	_, err := s.EditClient(ctx, id, func(c *registry.Client) (*registry.Client, error) {
		if c == nil {
			return nil, registry.ErrNotFound
		}
		c.Description = description
		return c, nil
	})
	return err
}

func description(t *testing.T, s *store.Store, id string) string {
	t.Helper()
	c, err := s.Client(ctx, id)
	if err != nil {
		t.Fatalf("looking up %s: %v", id, err)
	}
	return c.Description
}

func TestStoreKeepsWhatItIsGiven(t *testing.T) {
	m, s := newBookStore(t)
	want := &registry.Client{
		ID: "full", Description: "every field", Attributes: map[string]any{"team": "catalogue"}, TokenTTL: 5 * time.Minute,
		Disabled: true, Expires: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Audiences: []string{"https://api.example.com"},
		Limits:  registry.Limits{RatePerSecond: 200, Burst: 1000, Concurrent: 32},
		Secrets: []registry.Secret{{ID: "s1", SHA256: registry.SumSecret(registry.NewSecret()), Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}},
		Grants:  []scope.Grant{{Resource: "book", Identifiers: []string{"a", "b*"}, Actions: []string{"*"}, Deny: true}},
	}
	change, err := s.EditClient(ctx, "full", func(c *registry.Client) (*registry.Client, error) {
		if c != nil {
			t.Errorf("a client is there before it was made")
		}
		return want, nil
	})
	if err != nil || change.Action() != "create" {
		t.Fatalf("creating: %v, %q", err, change.Action())
	}
	for name, at := range map[string]*store.Store{"the same": s, "another": newStore(m)} {
		got, err := at.Client(ctx, "full")
		if err != nil || registry.VersionOf(got) != registry.VersionOf(want) {
			t.Errorf("%s store has %+v, %v", name, got, err)
		}
	}
}

func TestStoreChangeIsSeenByTheNextLookup(t *testing.T) {
	_, s := newBookStore(t)
	if _, err := s.Client(ctx, "late"); !errors.Is(err, registry.ErrNotFound) {
		t.Fatalf("before: %v", err)
	}
	putClient(t, s, "late")
	for i := range 20 {
		text := fmt.Sprint(i)
		if err := describe(s, "late", text); err != nil {
			t.Fatal(err)
		}
		if got := description(t, s, "late"); got != text {
			t.Fatalf("description %q after it was set to %q", got, text)
		}
	}
	if _, err := s.EditClient(ctx, "late", func(*registry.Client) (*registry.Client, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client(ctx, "late"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("after the end: %v", err)
	}
}

func TestStoreLookupsAreFromMemory(t *testing.T) {
	m, s := newBookStore(t)
	for _, id := range []string{"ci-bot", "nobody"} {
		_, _ = s.Client(ctx, id)
		before := m.loads
		for range 100 {
			_, _ = s.Client(ctx, id)
			_, _ = s.Resource(ctx, "book")
		}
		if m.loads != before {
			t.Errorf("%d loads for what is known of %s", m.loads-before, id)
		}
	}
}

func TestStoreCacheHasASize(t *testing.T) {
	m, s := newBookStore(t)
	s.SetCacheSize(2)
	for _, id := range []string{"a", "b", "c"} {
		putClient(t, s, id)
		description(t, s, id)
	}
	before := m.loads
	description(t, s, "c")
	if m.loads != before {
		t.Error("the client that was asked for last is not in memory")
	}
	description(t, s, "a")
	if m.loads == before {
		t.Error("three clients are in a memory for two")
	}
}

func TestStoreOfAnotherNode(t *testing.T) {
	m, here := newBookStore(t)
	there := newStore(m)
	if got := description(t, there, "ci-bot"); got != "" {
		t.Fatal(got)
	}
	_, _ = there.Client(ctx, "late") // the other store now knows that it does not exist
	steps := []struct {
		name   string
		change func()
		seen   func() bool
	}{
		{"a change", func() { _ = describe(here, "ci-bot", "changed") }, func() bool { return description(t, there, "ci-bot") == "changed" }},
		{"a new client", func() { putClient(t, here, "late") }, func() bool { _, err := there.Client(ctx, "late"); return err == nil }},
		{"a resource", func() { putResource(t, here, "invoice", "read") }, func() bool { _, err := there.Resource(ctx, "invoice"); return err == nil }},
		{"its end", func() {
			_, _ = here.EditResource(ctx, "invoice", func(*registry.Resource) (*registry.Resource, error) { return nil, nil })
		}, func() bool { _, err := there.Resource(ctx, "invoice"); return errors.Is(err, registry.ErrNotFound) }},
	}
	for _, step := range steps {
		step.change()
		if changed, err := there.Reload(); !changed || err != nil {
			t.Errorf("%s: the look answers %v, %v", step.name, changed, err)
		}
		if !step.seen() {
			t.Errorf("%s is not seen at the other node", step.name)
		}
		if changed, err := there.Reload(); changed || err != nil {
			t.Errorf("%s: the second look answers %v, %v", step.name, changed, err)
		}
	}
	if here.Revision() != there.Revision() {
		t.Errorf("revisions %s and %s", here.Revision(), there.Revision())
	}
}

// TestStoreTellsOfWrites: another store in this process that looks in OnWrite knows the change before the caller gets the
// result. Reload does not report the change there.
func TestStoreTellsOfWrites(t *testing.T) {
	m, here := newBookStore(t)
	there := newStore(m)
	_ = description(t, there, "ci-bot")
	_, _ = there.Client(ctx, "late")
	told := 0
	here.OnWrite = func() {
		told++
		if err := there.Look(); err != nil {
			t.Error(err)
		}
	}
	if err := describe(here, "ci-bot", "changed"); err != nil || description(t, there, "ci-bot") != "changed" {
		t.Errorf("a change is not seen: %v", err)
	}
	putClient(t, here, "late")
	if _, err := there.Client(ctx, "late"); err != nil {
		t.Errorf("a new client: %v", err)
	}
	if told != 2 {
		t.Errorf("%d writes were told", told)
	}
	if changed, err := there.Reload(); changed || err != nil {
		t.Errorf("the next look answers %v, %v", changed, err)
	}
}

// A node that missed more changes than the journal remembers drops all it has in memory.
func TestStoreAfterManyChanges(t *testing.T) {
	m, here := newBookStore(t)
	there := newStore(m)
	description(t, there, "ci-bot")
	_ = describe(here, "ci-bot", "changed")
	for i := range 600 {
		putClient(t, here, fmt.Sprintf("c%d", i))
	}
	if _, err := there.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := description(t, there, "ci-bot"); got != "changed" {
		t.Errorf("description is %q", got)
	}
}

// Other nodes see the change of a writer that dies between writing the records and the end in the journal.
func TestStoreChangeOfADeadWriter(t *testing.T) {
	t.Parallel()
	m, dying := newBookStore(t)
	there := newStore(m)
	description(t, there, "ci-bot")
	m.failFrom("store", "/journal.json", 2)
	if err := describe(dying, "ci-bot", "changed"); err != nil {
		t.Fatalf("what is stored is acknowledged: %v", err)
	}
	m.failing("nothing", "")
	if _, err := there.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := description(t, there, "ci-bot"); got != "changed" {
		t.Errorf("the other node still has %q", got)
	}
	third := newStore(m)
	putClient(t, third, "next")
	if _, err := there.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := description(t, there, "ci-bot"); got != "changed" {
		t.Errorf("after the next writer the other node has %q", got)
	}
}

// A change whose end cannot be written has no number. The next change gets that number, and no node must miss it.
func TestStoreChangeAfterOneWithoutAnEnd(t *testing.T) {
	t.Parallel()
	m, here := newBookStore(t)
	putClient(t, here, "other")
	here.Close()
	there := newStore(m)
	description(t, here, "ci-bot")
	description(t, there, "other")
	m.failFrom("store", "/journal.json", 2)
	if err := describe(here, "other", "changed"); err != nil {
		t.Fatalf("what is stored is acknowledged: %v", err)
	}
	here.Close()
	m.failing("nothing", "")
	if err := describe(there, "ci-bot", "changed"); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*store.Store{"here": here, "there": there} {
		if _, err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"ci-bot", "other"} {
			if got := description(t, s, id); got != "changed" {
				t.Errorf("%s %s is still %q", name, id, got)
			}
		}
	}
	if here.Revision() != there.Revision() {
		t.Errorf("revisions %s and %s", here.Revision(), there.Revision())
	}
	if err := describe(here, "ci-bot", "again"); err != nil {
		t.Fatal(err)
	}
	if _, err := there.Reload(); err != nil || description(t, there, "ci-bot") != "again" {
		t.Errorf("the next change is not seen there: %v", err)
	}
}

func TestStoreTwoAdministratorsLoseNothing(t *testing.T) {
	t.Parallel()
	m, first := newBookStore(t)
	stores := []*store.Store{first, newStore(m)}
	const each = 25
	var done sync.WaitGroup
	for n := range 8 {
		done.Go(func() {
			s := stores[n%2]
			for i := range each {
				_, err := s.EditClient(ctx, "ci-bot", func(c *registry.Client) (*registry.Client, error) {
					c.Grants = append(c.Grants, grant("book", fmt.Sprintf("%d-%d", n, i), "edit"))
					return c, nil
				})
				if err != nil {
					t.Errorf("editing: %v", err)
				}
			}
		})
	}
	done.Wait()
	for _, s := range stores {
		if _, err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		c, err := s.Client(ctx, "ci-bot")
		if err != nil || len(c.Grants) != 1+8*each {
			t.Errorf("%d grants, %v; some were lost", len(c.Grants), err)
		}
	}
}

func TestStoreListsClients(t *testing.T) {
	_, s := newBookStore(t)
	for _, id := range []string{"a/b", "Ab", "ab", "abc", "b"} {
		putClient(t, s, id)
	}
	ids := func(prefix, after string, limit int) string {
		got, err := s.ClientIDs(ctx, prefix, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(got, " ")
	}
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          string
	}{
		{"", "", 0, "Ab a/b ab abc b ci-bot"},
		{"a", "", 0, "a/b ab abc"},
		{"a", "a/b", 1, "ab"},
		{"a", "abc", 5, ""},
		{"z", "", 5, ""},
		{"", "b", 5, "ci-bot"},
	} {
		if got := ids(c.prefix, c.after, c.limit); got != c.want {
			t.Errorf("prefix %q after %q limit %d: %q, want %q", c.prefix, c.after, c.limit, got, c.want)
		}
	}
	putClient(t, s, "new")
	if got := ids("n", "", 0); got != "new" {
		t.Errorf("a new client is not listed: %q", got)
	}
}
