package store_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// TestStoreWhoseStorageIsSuddenlyEmpty: a folder whose volume is no longer mounted counts as a storage that cannot be read.
// No client becomes unknown, nothing is written, and all is as before when the volume is mounted again.
func TestStoreWhoseStorageIsSuddenlyEmpty(t *testing.T) {
	m, s := newBookStore(t)
	putClient(t, s, "other")
	description(t, s, "ci-bot")
	s.Close()
	fresh := newStore(m) // another node, which has no client in memory
	if err := fresh.Open(ctx); err != nil {
		t.Fatal(err)
	}
	description(t, fresh, "ci-bot")
	m.mu.Lock()
	objects := m.objects
	m.objects = make(map[string][]byte)
	m.mu.Unlock()
	if _, err := fresh.Client(ctx, "other"); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("a client that is not in memory, before the next look: %v", err)
	}
	if _, err := fresh.Reload(); !errors.Is(err, registry.ErrUnavailable) || !strings.Contains(fresh.Problem(), "journal.json: it was there and is gone") {
		t.Errorf("the look says %v, and the problem is %q", err, fresh.Problem())
	}
	if _, err := fresh.Client(ctx, "other"); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("a client that is not in memory: %v", err)
	}
	description(t, fresh, "ci-bot") // from memory
	if _, err := fresh.Resource(ctx, "book"); err != nil {
		t.Errorf("the resource is gone: %v", err)
	}
	if err := describe(fresh, "ci-bot", "changed"); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("a change answers %v", err)
	}
	m.mu.Lock()
	if len(m.objects) > 0 {
		t.Errorf("written were %v", maps.Keys(m.objects))
	}
	m.objects = objects
	m.mu.Unlock()
	if _, err := fresh.Reload(); err != nil || !fresh.Healthy() {
		t.Errorf("when it is back the look says %v", err)
	}
	for _, id := range []string{"ci-bot", "other"} {
		description(t, fresh, id)
	}
	if err := describe(fresh, "ci-bot", "again"); err != nil {
		t.Errorf("when it is back a change answers %v", err)
	}
}
