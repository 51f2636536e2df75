package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

func lastUsed(t *testing.T, u *store.Usage, secretID string) string {
	t.Helper()
	last, err := u.LastUsed(ctx, "ci-bot")
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := last[secretID]; ok {
		return at.Format("15:04:05")
	}
	return "never"
}

func TestUsage(t *testing.T) {
	m := newMemory()
	here, there := store.NewUsage(m, "test/usage"), store.NewUsage(m, "test/usage")
	at := time.Date(2026, 1, 2, 10, 30, 40, 0, time.UTC)
	here.Seen("ci-bot", "s1", at)
	if got := lastUsed(t, here, "s1"); got != "10:30:00" {
		t.Errorf("here, before anything is written: %s", got)
	}
	if len(m.keys()) != 0 {
		t.Errorf("a use has written %v", m.keys())
	}
	if err := here.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	there.Seen("ci-bot", "s1", at.Add(-time.Hour))
	there.Seen("ci-bot", "s2", at.Add(time.Hour))
	if err := there.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for _, u := range []*store.Usage{here, there} {
		for secret, want := range map[string]string{"s1": "10:30:00", "s2": "11:30:00", "s3": "never"} {
			if got := lastUsed(t, u, secret); got != want {
				t.Errorf("%s was used %s, want %s", secret, got, want)
			}
		}
	}
	if err := here.Forget(ctx, "ci-bot"); err != nil {
		t.Fatal(err)
	}
	if got := lastUsed(t, here, "s1"); got != "never" {
		t.Errorf("forgotten, but used %s", got)
	}
}

func TestUsageThatCannotBeWritten(t *testing.T) {
	m := newMemory()
	u := store.NewUsage(m, "test/usage")
	u.Seen("ci-bot", "s1", time.Date(2026, 1, 2, 10, 30, 0, 0, time.UTC))
	m.failing("store", "")
	if err := u.Flush(ctx); !errors.Is(err, registry.ErrUnavailable) {
		t.Fatalf("flushing: %v", err)
	}
	m.failing("nothing", "")
	if err := u.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if got := lastUsed(t, store.NewUsage(m, "test/usage"), "s1"); got != "10:30:00" {
		t.Errorf("after a second try it was used %s", got)
	}
}
