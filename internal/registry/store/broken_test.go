package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

const brokenKey = "test/registry/resources/rb.json"

// newBrokenStore returns a store with the resource rb, whose object is damaged, and the client rbc with grants on rb and on
// book.
func newBrokenStore(t *testing.T, damage func(*memory)) (*memory, *store.Store) {
	t.Helper()
	m, s := newBookStore(t)
	putResource(t, s, "rb", "x", "y")
	rb := scope.Grant{Resource: "rb", Identifiers: []string{"*", "1"}, Actions: []string{"x", "y"}}
	putClient(t, s, "rbc", rb, grant("book", "*", "read"))
	s.Close()
	damage(m)
	return m, newStore(m)
}

func truncate(m *memory) {
	m.edit(brokenKey, func(object []byte) []byte { return object[:30] })
}

func edit(s *store.Store, change func(*registry.Client)) error {
	_, err := s.EditClient(ctx, "rbc", func(c *registry.Client) (*registry.Client, error) { change(c); return c, nil })
	return err
}

// Clients with grants on a resource that is broken or gone can still be disabled and lose rights.
func TestStoreChangesClientsOfABrokenResource(t *testing.T) {
	for name, damage := range map[string]func(*memory){
		"broken":  truncate,
		"missing": func(m *memory) { _ = m.Delete(ctx, brokenKey) },
		"without the action": func(m *memory) {
			other := newMemory()
			putResource(t, newStore(other), "rb", "z")
			m.edit(brokenKey, func([]byte) []byte { return other.objects[brokenKey] })
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, s := newBrokenStore(t, damage)
			part := scope.Grant{Resource: "rb", Identifiers: []string{"1"}, Actions: []string{"y"}}
			for what, change := range map[string]func(*registry.Client){
				"disable":      func(c *registry.Client) { c.Disabled = true },
				"enable":       func(c *registry.Client) { c.Disabled = false },
				"describe":     func(c *registry.Client) { c.Description = "changed" },
				"new secret":   func(c *registry.Client) { c.Secrets = []registry.Secret{{ID: "s1", SHA256: registry.SumSecret("x")}} },
				"new grant":    func(c *registry.Client) { c.Grants = append(c.Grants, grant("book", "7", "edit")) },
				"less a right": func(c *registry.Client) { c.Grants[0] = part },
			} {
				if err := edit(s, change); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			for what, wrong := range map[string]scope.Grant{
				"the same on more":   grant("rb", "2", "y"),
				"the action of more": grant("rb", "*", "x"),
				"the contrary":       {Resource: "rb", Identifiers: []string{"1"}, Actions: []string{"y"}, Deny: true},
				"another action":     grant("book", "1", "x"),
			} {
				var invalid *registry.InvalidError
				if err := edit(s, func(c *registry.Client) { c.Grants = append(c.Grants, wrong) }); !errors.As(err, &invalid) {
					t.Errorf("%s is added: %v", what, err)
				}
			}
			if err := edit(s, func(c *registry.Client) { c.Grants = c.Grants[1:] }); err != nil {
				t.Errorf("the last such right stays: %v", err)
			}
		})
	}
}

func TestStoreTellsOfABrokenResource(t *testing.T) {
	m, s := newBrokenStore(t, truncate)
	var told []string
	s.OnFault = func(_ string, err error) { told = append(told, err.Error()) }
	for range 3 {
		if _, err := s.Reload(); err != nil {
			t.Fatalf("a broken resource is reported as a broken storage: %v", err)
		}
	}
	if s.Healthy() || !strings.Contains(s.Problem(), "resources/rb.json") || len(told) != 1 {
		t.Errorf("healthy %v, problem %q, told %q", s.Healthy(), s.Problem(), told)
	}
	if err := s.Damage(); !errors.Is(err, registry.ErrUnavailable) || !strings.Contains(err.Error(), "resources/rb.json") {
		t.Errorf("the damage is %v", err)
	}
	whole := newStore(newMemory())
	putResource(t, whole, "other", "x")
	if whole.Damage() != nil || !whole.Healthy() {
		t.Errorf("a whole registry: %v, %q", whole.Damage(), whole.Problem())
	}
	backup := newMemory()
	putResource(t, newStore(backup), "rb", "x", "y")
	m.edit(brokenKey, func([]byte) []byte { return backup.objects[brokenKey] })
	if _, err := s.Reload(); err != nil || !s.Healthy() {
		t.Errorf("repaired by hand: %v, %q", err, s.Problem())
	}
}

func TestStoreRepairsABrokenResource(t *testing.T) {
	deleted := func(*registry.Resource) (*registry.Resource, error) { return nil, nil }
	_, s := newBrokenStore(t, truncate)
	_, err := s.EditResource(ctx, "rb", func(r *registry.Resource) (*registry.Resource, error) {
		if r == nil || !strings.Contains(r.Damage.Error(), "resources/rb.json") {
			t.Errorf("the function gets %+v", r)
		}
		return &registry.Resource{Code: "rb", Actions: map[string]string{"x": ""}}, nil
	})
	if !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("a broken resource is changed: %v", err)
	}
	var inUse *registry.InUseError
	if _, err := s.EditResource(ctx, "rb", deleted); !errors.As(err, &inUse) || !slices.Equal(inUse.By, []string{"rbc"}) {
		t.Errorf("one that grants name is deleted: %v", err)
	}
	const less, all = "resources: {rb: {actions: {x: ''}}}", "resources: {rb: {actions: {x: '', y: ''}}}"
	if _, err := s.Apply(ctx, "registry.yaml", []byte(less), store.ApplyOptions{}); !errors.As(err, &inUse) || inUse.What != `action "y" of "rb"` {
		t.Errorf("one with fewer actions than grants name takes its place: %v", err)
	}
	for _, dry := range []bool{true, false} {
		changes, err := s.Apply(ctx, "registry.yaml", []byte(all), store.ApplyOptions{DryRun: dry})
		if err != nil || len(changes) != 1 || changes[0].Action() != "update" {
			t.Fatalf("applying onto it: %+v, %v", changes, err)
		}
		if broken, ok := changes[0].Before.(registry.Broken); !ok || !strings.Contains(broken.Reason, "resources/rb.json") {
			t.Errorf("it was %+v", changes[0].Before)
		}
	}
	if _, err := s.Resource(ctx, "rb"); err != nil || !s.Healthy() {
		t.Errorf("applied: %v, %q", err, s.Problem())
	}

	_, s = newBrokenStore(t, truncate)
	if err := edit(s, func(c *registry.Client) { c.Grants = nil }); err != nil {
		t.Fatal(err)
	}
	if got := apply(t, s, "resources: {book: {actions: {read: '', edit: ''}}}", store.ApplyOptions{DryRun: true, Prune: true}); got != "delete rb, delete ci-bot, delete rbc" {
		t.Errorf("pruning would %s", got)
	}
	change, err := s.EditResource(ctx, "rb", deleted)
	if err != nil || change.Action() != "delete" || !s.Healthy() {
		t.Errorf("deleting: %v, %q, %q", err, change.Action(), s.Problem())
	}
}

func TestStoreSaysWhatABrokenClientWas(t *testing.T) {
	t.Parallel()
	m, _ := newBookStore(t)
	m.edit("test/registry/clients/ci-bot.json", func([]byte) []byte { return []byte("{}") })
	change, err := newStore(m).EditClient(ctx, "ci-bot", func(*registry.Client) (*registry.Client, error) { return nil, nil })
	if broken, ok := change.Before.(registry.Broken); err != nil || !ok || !strings.Contains(broken.Reason, "clients/ci-bot.json") {
		t.Errorf("it was %+v, %v", change.Before, err)
	}
}
