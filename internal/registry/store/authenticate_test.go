package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

// recorder is a storage that records the calls of lookups and through which Lookups they came.
type recorder struct {
	*memory
	view  string
	calls *[]string
}

func (r recorder) note(operation string) { *r.calls = append(*r.calls, r.view+operation) }

func (r recorder) Load(ctx context.Context, key string) ([]byte, error) {
	r.note("load")
	return r.memory.Load(ctx, key)
}

func (r recorder) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	r.note("list")
	return r.memory.List(ctx, folder, recursive)
}

func (r recorder) Has(ctx context.Context, key string) (bool, error) {
	r.note("has")
	return r.memory.Exists(ctx, key), r.fault("has", key)
}

// unauthenticated is a store with some clients, none of which is in memory, and a clock.
type unauthenticated struct {
	t *testing.T
	*store.Store
	storage *memory
	calls   []string
	secret  string // the secret of every client
	now     time.Time
}

func newUnauthenticated(t *testing.T) *unauthenticated {
	m, here := newBookStore(t)
	s := &unauthenticated{t: t, storage: m, secret: registry.NewSecret(), now: time.Now()}
	for _, id := range []string{"demo", "demo-2", "Demo-3", "off", "over", "lapsed", "damaged", "torn"} {
		if _, err := here.EditClient(ctx, id, func(*registry.Client) (*registry.Client, error) {
			c := &registry.Client{ID: id, Disabled: id == "off", Secrets: []registry.Secret{{ID: "s1", SHA256: registry.SumSecret(s.secret)}}}
			switch id {
			case "over":
				c.Expires = s.now.Add(-time.Hour).Truncate(time.Second)
			case "lapsed":
				c.Secrets[0].Expires = s.now.Add(-time.Hour).Truncate(time.Second)
			}
			return c, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	m.edit("test/registry/clients/damaged.json", func(b []byte) []byte { return []byte(strings.Replace(string(b), `"id":"`, `"id":"x`, 1)) })
	m.edit("test/registry/clients/torn.json", func(b []byte) []byte { return b[:30] })
	here.Close()
	s.open()
	return s
}

// open returns a new store on the same storage.
func (s *unauthenticated) open() {
	s.Store = newStore(s.storage)
	s.SetLookups(recorder{s.storage, "unauthenticated ", &s.calls}, recorder{s.storage, "known ", &s.calls})
	s.SetNow(func() time.Time { return s.now })
	if err := s.Open(ctx); err != nil {
		s.t.Fatal(err)
	}
}

// asks authenticates a client and returns the calls of the storage.
func (s *unauthenticated) asks(id, secret string) (calls []string, err error) {
	s.calls = nil
	loads := s.storage.loads
	client, secretID, err := s.Authenticate(ctx, id, secret, s.now)
	if (err == nil) != (client != nil && client.ID == id && secretID == "s1") {
		s.t.Errorf("%s: %+v, %q, %v", id, client, secretID, err)
	}
	if all := s.storage.loads - loads; all != len(slices.DeleteFunc(slices.Clone(s.calls), func(c string) bool { return !strings.HasSuffix(c, "load") })) {
		s.t.Errorf("%s: %d objects were loaded, also beside the lookups %q", id, all, s.calls)
	}
	return s.calls, err
}

func (s *unauthenticated) refused(id, secret string, want ...string) {
	s.t.Helper()
	if calls, err := s.asks(id, secret); !errors.Is(err, registry.ErrRefused) || !slices.Equal(calls, want) {
		s.t.Errorf("%s asks %q, want %q; %v", id, calls, want, err)
	}
}

func (s *unauthenticated) taken(id string, want ...string) {
	s.t.Helper()
	if calls, err := s.asks(id, s.secret); err != nil || !slices.Equal(calls, want) {
		s.t.Errorf("%s asks %q, want %q; %v", id, calls, want, err)
	}
}

func TestStoreAsksAlikeForEachRefusal(t *testing.T) {
	wrong := registry.NewSecret()
	for _, c := range []struct {
		name, id string
		right    bool // the secret is right
		before   func(*unauthenticated)
	}{
		{"unknown", "nobody", false, nil},
		{"in memory", "demo", false, func(s *unauthenticated) { s.taken("demo", "unauthenticated load") }},
		{"not in memory", "demo", false, nil},
		{"no longer in memory", "demo", false, func(s *unauthenticated) {
			s.SetCacheSize(1)
			s.taken("demo-2", "unauthenticated load")
		}},
		{"in capitals", "Demo-3", false, nil},
		{"without secrets", "ci-bot", true, nil},
		{"disabled", "off", true, nil},
		{"expired", "over", true, nil},
		{"with an expired secret", "lapsed", true, nil},
		{"damaged", "damaged", false, nil},
		{"cut off", "torn", true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newUnauthenticated(t)
			if c.before != nil {
				c.before(s)
			}
			secret := wrong
			if c.right {
				secret = s.secret
			}
			for range 2 {
				s.refused(c.id, secret, "unauthenticated load", "unauthenticated list", "unauthenticated has", "unauthenticated load")
				s.refused(c.id, secret)
				s.refused(c.id, registry.NewSecret())
				s.now = s.now.Add(6 * time.Second)
			}
			s.storage.failing("load", "")
			if calls, err := s.asks(c.id, secret); !errors.Is(err, registry.ErrUnavailable) || len(calls) != 1 {
				t.Errorf("while the storage is unavailable it asks %q; %v", calls, err)
			}
			s.storage.failing("has", "")
			if calls, err := s.asks(c.id, secret); !errors.Is(err, registry.ErrUnavailable) || len(calls) != 3 {
				t.Errorf("while it cannot be told whether the storage works it asks %q; %v", calls, err)
			}
		})
	}
}

// A client whose authentication was refused can still authenticate, even after it has left the memory.
func TestStoreRefusalIsOfASecret(t *testing.T) {
	s := newUnauthenticated(t)
	s.SetCacheSize(1)
	s.refused("demo", registry.NewSecret(), "unauthenticated load", "unauthenticated list", "unauthenticated has", "unauthenticated load")
	s.taken("demo")
	s.taken("demo-2", "unauthenticated load") // takes its place in memory
	s.taken("demo")
	s.refused("demo", registry.NewSecret())
	s.now = s.now.Add(6 * time.Second)
	s.taken("demo", "known load")
	s.refused("demo-2", registry.NewSecret(), "known load", "unauthenticated list", "unauthenticated has", "unauthenticated load")
}

// Only the owner of a damaged client learns that it is damaged.
func TestStoreDamagedClientIsKnownToItsOwner(t *testing.T) {
	s := newUnauthenticated(t)
	var told []string
	s.OnFault = func(_ string, err error) { told = append(told, err.Error()) }
	for range 2 {
		if _, err := s.asks("damaged", s.secret); !errors.Is(err, registry.ErrUnavailable) || !strings.Contains(err.Error(), "clients/damaged.json") {
			t.Errorf("the owner gets %v", err)
		}
		s.refusedAtAll("damaged")
	}
	if len(told) != 1 || !strings.Contains(told[0], "clients/damaged.json") {
		t.Errorf("told of the damage: %q", told)
	}
	for _, id := range []string{"damaged", "torn"} {
		if _, err := s.Client(ctx, id); !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("looking up %s: %v", id, err)
		}
	}
}

func (s *unauthenticated) refusedAtAll(id string) {
	s.t.Helper()
	if _, err := s.asks(id, registry.NewSecret()); !errors.Is(err, registry.ErrRefused) {
		s.t.Errorf("an unauthenticated caller gets %v", err)
	}
}

// A malformed id or secret causes no call to the storage.
func TestStoreAsksNothingForWhatCannotBe(t *testing.T) {
	s := newUnauthenticated(t)
	s.taken("demo", "unauthenticated load")
	for _, id := range []string{"", ".", "..", "a%3Ab", "dé", "a\x00", strings.Repeat("d", 129), strings.Repeat("D", 128)} {
		s.refused(id, registry.NewSecret())
	}
	for _, secret := range []string{"", "hunter2", s.secret[:30], s.secret + "x", "correct-horse-battery-staple"} {
		for _, id := range []string{"demo", "demo-2", "off", "damaged", "nobody"} {
			s.refused(id, secret)
		}
	}
}

// A record that an operator restores by hand is not in the journal, but is found soon.
func TestStoreFindsAClientThatIsRestoredByHand(t *testing.T) {
	s := newUnauthenticated(t)
	const key = "test/registry/clients/demo.json"
	object := s.storage.objects[key]
	delete(s.storage.objects, key)
	s.refused("demo", s.secret, "unauthenticated load", "unauthenticated list", "unauthenticated has", "unauthenticated load")
	if _, err := s.Client(ctx, "demo"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("while it is gone: %v", err)
	}
	s.storage.objects[key] = object
	s.now = s.now.Add(4 * time.Second)
	s.refused("demo", s.secret)
	s.now = s.now.Add(2 * time.Second)
	s.taken("demo", "unauthenticated load")
}

// The same is true before the first change, when there is no journal.
func TestStoreAsksAlikeWithoutAJournal(t *testing.T) {
	s := newUnauthenticated(t)
	delete(s.storage.objects, "test/registry/journal.json")
	s.open()
	for _, id := range []string{"nobody", "demo"} {
		s.refused(id, registry.NewSecret(), "unauthenticated load", "unauthenticated list")
	}
	s.now = s.now.Add(6 * time.Second)
	s.storage.failing("list", "")
	for _, id := range []string{"nobody", "demo"} {
		if _, err := s.asks(id, registry.NewSecret()); !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("%s, while the storage is unavailable: %v", id, err)
		}
	}
}

// A change of the client ends the memory of a refusal.
func TestStoreRefusalEndsWithAChange(t *testing.T) {
	s := newUnauthenticated(t)
	other := newStore(s.storage)
	change := func(id string, edit func(*registry.Client)) {
		if _, err := other.EditClient(ctx, id, func(c *registry.Client) (*registry.Client, error) {
			if c == nil {
				c = &registry.Client{ID: id}
			}
			edit(c)
			return c, nil
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	newSecret := func(c *registry.Client) {
		c.Secrets = []registry.Secret{{ID: "s1", SHA256: registry.SumSecret(s.secret)}}
	}
	for _, id := range []string{"nobody", "off", "ci-bot"} {
		s.refused(id, s.secret, "unauthenticated load", "unauthenticated list", "unauthenticated has", "unauthenticated load")
		change(id, func(c *registry.Client) { c.Disabled = false; newSecret(c) })
	}
	s.taken("nobody", "unauthenticated load")
	s.taken("off", "known load") // it was in memory
	s.taken("ci-bot", "known load")
	change("off", func(c *registry.Client) { c.Disabled = true })
	if _, err := s.asks("off", s.secret); !errors.Is(err, registry.ErrRefused) {
		t.Errorf("once it is disabled: %v", err)
	}
}

// TestStoreRemembersFewRefusals: a limited number of refusals is remembered, and they push no client out of memory.
func TestStoreRemembersFewRefusals(t *testing.T) {
	s := newUnauthenticated(t)
	s.taken("demo", "unauthenticated load")
	for n := range 1001 {
		s.refused(fmt.Sprint("made-up-", n), registry.NewSecret(), "unauthenticated load", "unauthenticated list", "unauthenticated has", "unauthenticated load")
	}
	s.refused("made-up-1000", registry.NewSecret())
	s.refused("made-up-0", registry.NewSecret(), "unauthenticated load", "unauthenticated list", "unauthenticated has", "unauthenticated load")
	s.taken("demo")
}
