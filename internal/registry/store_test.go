package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

var ctx = context.Background()

// memory is a storage whose operations can be made to fail.
type memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	locks   map[string]chan struct{}
	fail    func(operation, key string) error
	loads   int
}

func newMemory() *memory {
	return &memory{objects: make(map[string][]byte), locks: make(map[string]chan struct{})}
}

var errDisk = errors.New("no space left on device")

// failing makes operations fail on keys that hold a text, until it is called with "".
func (m *memory) failing(operation, part string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = func(o, key string) error {
		if o == operation && strings.Contains(key, part) {
			return errDisk
		}
		return nil
	}
}

func (m *memory) fault(operation, key string) error {
	if m.fail == nil {
		return nil
	}
	return m.fail(operation, key)
}

func (m *memory) Load(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads++
	if err := m.fault("load", key); err != nil {
		return nil, err
	}
	value, ok := m.objects[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(value), nil
}

func (m *memory) Store(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fault("store", key); err != nil {
		return err
	}
	m.objects[key] = slices.Clone(value)
	return nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fault("delete", key); err != nil {
		return err
	}
	delete(m.objects, key)
	return nil
}

func (m *memory) List(_ context.Context, folder string, _ bool) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fault("list", folder); err != nil {
		return nil, err
	}
	var keys []string
	for key := range m.objects {
		if path.Dir(key) == folder {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func (m *memory) Lock(ctx context.Context, name string) error {
	m.mu.Lock()
	if err := m.fault("lock", name); err != nil {
		m.mu.Unlock()
		return err
	}
	if m.locks[name] == nil {
		m.locks[name] = make(chan struct{}, 1)
	}
	lock := m.locks[name]
	m.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *memory) Unlock(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	<-m.locks[name]
	return nil
}

func (m *memory) keys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for key := range m.objects {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (m *memory) edit(key string, change func([]byte) []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = change(m.objects[key])
}

func newStore(storage registry.Storage) *registry.Store {
	return registry.NewStore(storage, "test/registry")
}

// newBookStore is a store with the resource book and the client ci-bot, which may read every book.
func newBookStore(t *testing.T) (*memory, *registry.Store) {
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

func putResource(t *testing.T, s *registry.Store, code string, actions ...string) registry.Change {
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

func putClient(t *testing.T, s *registry.Store, id string, grants ...scope.Grant) registry.Change {
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
func describe(s *registry.Store, id, description string) error {
	_, err := s.EditClient(ctx, id, func(c *registry.Client) (*registry.Client, error) {
		if c == nil {
			return nil, registry.ErrNotFound
		}
		c.Description = description
		return c, nil
	})
	return err
}

func description(t *testing.T, s *registry.Store, id string) string {
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
	for name, store := range map[string]*registry.Store{"the same": s, "another": newStore(m)} {
		got, err := store.Client(ctx, "full")
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
	_, _ = there.Client(ctx, "late") // it is known there that it is not
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

// A node that was away for more changes than the journal remembers forgets all it had.
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

// A writer that dies between its records and the end of its journal leaves a change that others see.
func TestStoreChangeOfADeadWriter(t *testing.T) {
	m, dying := newBookStore(t)
	there := newStore(m)
	description(t, there, "ci-bot")
	journals := 0
	m.mu.Lock()
	m.fail = func(operation, key string) error {
		if operation == "store" && strings.HasSuffix(key, "/journal.json") {
			if journals++; journals == 2 {
				return errDisk
			}
		}
		return nil
	}
	m.mu.Unlock()
	if err := describe(dying, "ci-bot", "changed"); err != nil {
		t.Fatalf("what is stored is acknowledged: %v", err)
	}
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

func TestStoreTwoAdministratorsLoseNothing(t *testing.T) {
	m, first := newBookStore(t)
	stores := []*registry.Store{first, newStore(m)}
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

func TestStoreRefuses(t *testing.T) {
	now := time.Now()
	secret := func(id string, expires time.Time) registry.Secret {
		return registry.Secret{ID: id, SHA256: registry.SumSecret(registry.NewSecret()), Expires: expires}
	}
	three := []registry.Secret{secret("s1", time.Time{}), secret("s2", time.Time{}), secret("s3", now.Add(time.Hour))}
	past := []registry.Secret{secret("s1", time.Time{}), secret("s2", time.Time{}), secret("s3", now.Add(-time.Hour))}
	cases := map[string]struct {
		id     string
		client registry.Client
		want   string // part of the problem; "" is none
	}{
		"unknown resource":   {"c", registry.Client{Grants: []scope.Grant{grant("bok", "*", "read")}}, `unknown resource "bok": did you mean "book"?`},
		"unknown action":     {"c", registry.Client{Grants: []scope.Grant{grant("book", "*", "raed")}}, `unknown action "raed": did you mean "read"?`},
		"identifier":         {"c", registry.Client{Grants: []scope.Grant{grant("book", "a*b", "read")}}, `"*" stands only at the end`},
		"colon in the id":    {"a:b", registry.Client{}, "a client's id: character 0x3a"},
		"empty id":           {"", registry.Client{}, "a client's id: empty"},
		"dots":               {"..", registry.Client{}, `"." and ".."`},
		"very long":          {strings.Repeat("=", 128), registry.Client{}, "too long for the storage"},
		"secret as text":     {"c", registry.Client{Description: registry.NewSecret()}, "a secret stands here"},
		"fractional ttl":     {"c", registry.Client{TokenTTL: 1500 * time.Millisecond}, "token_ttl must be whole seconds"},
		"three live secrets": {"c", registry.Client{Secrets: three}, "2 secrets that work at a time, not 3"},
		"two and one past":   {"c", registry.Client{Secrets: past}, ""},
		"large":              {"c", registry.Client{Description: strings.Repeat("x", 1<<20)}, "larger than 1024 KiB"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m, s := newBookStore(t)
			before := m.keys()
			_, err := s.EditClient(ctx, c.id, func(*registry.Client) (*registry.Client, error) { return &c.client, nil })
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var invalid *registry.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v; it should say %q", err, c.want)
			}
			if !slices.Equal(m.keys(), before) {
				t.Errorf("something was stored: %v", m.keys())
			}
		})
	}
}

func TestStoreKeepsResourcesThatGrantsName(t *testing.T) {
	_, s := newBookStore(t)
	putResource(t, s, "invoice", "read", "pay")
	putClient(t, s, "payer", grant("*", "*", "pay"))
	end := func(*registry.Resource) (*registry.Resource, error) { return nil, nil }
	without := func(action string) func(*registry.Resource) (*registry.Resource, error) {
		return func(r *registry.Resource) (*registry.Resource, error) { delete(r.Actions, action); return r, nil }
	}
	for name, c := range map[string]struct {
		code string
		edit func(*registry.Resource) (*registry.Resource, error)
		by   string
	}{
		"the resource":                     {"book", end, "ci-bot"},
		"an action of it":                  {"book", without("read"), "ci-bot"},
		"the last resource of the action":  {"invoice", end, "payer"},
		"the last such action by wildcard": {"invoice", without("pay"), "payer"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.EditResource(ctx, c.code, c.edit)
			var inUse *registry.InUseError
			if !errors.As(err, &inUse) || !slices.Equal(inUse.By, []string{c.by}) {
				t.Errorf("the error is %v; it should name %s", err, c.by)
			}
			r, err := s.Resource(ctx, c.code)
			if err != nil || len(r.Actions) != 2 {
				t.Errorf("the resource is now %+v, %v", r, err)
			}
		})
	}
	if _, err := s.EditResource(ctx, "book", without("edit")); err != nil {
		t.Errorf("an action that no grant names stays: %v", err)
	}
}

// A full disk, or one that cannot be written: changes are refused, and lookups go on.
func TestStoreThatCannotBeWritten(t *testing.T) {
	for _, c := range []struct{ operation, part string }{
		{"lock", ""}, {"store", "journal"}, {"store", "clients/"}, {"load", "journal"}, {"delete", ""},
	} {
		t.Run(c.operation+" "+c.part, func(t *testing.T) {
			m, s := newBookStore(t)
			description(t, s, "ci-bot")
			s.Close() // else the lock is still held, and not asked for
			m.failing(c.operation, c.part)
			err := describe(s, "ci-bot", "changed")
			if c.operation == "delete" {
				_, err = s.EditClient(ctx, "ci-bot", func(*registry.Client) (*registry.Client, error) { return nil, nil })
			} else if got := description(t, s, "ci-bot"); got != "" {
				t.Errorf("the description is now %q", got)
			}
			if !errors.Is(err, registry.ErrUnavailable) || !errors.Is(err, errDisk) {
				t.Errorf("the error is %v", err)
			}
			m.failing("nothing", "")
			if err := describe(s, "ci-bot", "again"); err != nil {
				t.Errorf("once it is healed: %v", err)
			}
			if got := description(t, s, "ci-bot"); got != "again" {
				t.Errorf("once it is healed the description is %q", got)
			}
		})
	}
}

func TestStoreTellsOfAStorageThatIsAway(t *testing.T) {
	m, s := newBookStore(t)
	description(t, s, "ci-bot")
	m.failing("load", "")
	if _, err := s.Reload(); !errors.Is(err, registry.ErrUnavailable) || s.Healthy() {
		t.Errorf("the first look says %v, healthy %v", err, s.Healthy())
	}
	if _, err := s.Reload(); err != nil {
		t.Errorf("the second look tells the same again: %v", err)
	}
	description(t, s, "ci-bot") // from memory
	if _, err := s.Client(ctx, "unseen"); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("a client that is not in memory: %v", err)
	}
	m.failing("nothing", "")
	if _, err := s.Reload(); err != nil || !s.Healthy() {
		t.Errorf("healed, the look says %v, healthy %v", err, s.Healthy())
	}
}

// Only the object that a storage has damaged fails.
func TestStoreWithADamagedObject(t *testing.T) {
	damages := map[string]func([]byte) []byte{
		"truncated":   func(b []byte) []byte { return b[:len(b)/2] },
		"empty":       func([]byte) []byte { return nil },
		"bit flipped": func(b []byte) []byte { b = slices.Clone(b); b[len(b)-5] ^= 1; return b },
		"swapped":     func(b []byte) []byte { return []byte(strings.Replace(string(b), `"id":"`, `"id":"x`, 1)) },
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			m, s := newBookStore(t)
			putResource(t, s, "invoice", "read")
			putClient(t, s, "other")
			m.edit("test/registry/clients/ci-bot.json", damage)
			m.edit("test/registry/resources/invoice.json", damage)
			fresh := newStore(m)
			var told []string
			fresh.OnFault = func(doing string, err error) { told = append(told, err.Error()) }
			if _, err := fresh.Client(ctx, "ci-bot"); !errors.Is(err, registry.ErrUnavailable) {
				t.Errorf("the damaged client: %v", err)
			}
			if _, err := fresh.Resource(ctx, "invoice"); !errors.Is(err, registry.ErrUnavailable) {
				t.Errorf("the damaged resource: %v", err)
			}
			if len(told) != 1 || !strings.Contains(told[0], "resources/invoice.json") {
				t.Errorf("told of the damaged resource: %q", told)
			}
			if _, err := fresh.Resource(ctx, "book"); err != nil {
				t.Errorf("a good resource: %v", err)
			}
			if _, err := fresh.Client(ctx, "other"); err != nil {
				t.Errorf("a good client: %v", err)
			}
		})
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
