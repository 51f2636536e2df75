package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

const github = "https://token.actions.githubusercontent.com"

func identify(s *store.Store, id string, identities ...registry.Identity) error {
	_, err := s.EditClient(ctx, id, func(*registry.Client) (*registry.Client, error) {
		return &registry.Client{ID: id, Identities: identities}, nil
	})
	return err
}

// identity returns one of a subject, or of a pattern if the text has a "*".
func identity(text string) registry.Identity {
	if strings.Contains(text, "*") {
		return registry.Identity{Issuer: github, SubjectPattern: text}
	}
	return registry.Identity{Issuer: github, Subject: text}
}

// clientsFor returns the ids of the clients of a subject, sorted.
func clientsFor(t *testing.T, s *store.Store, subject string) string {
	t.Helper()
	clients, err := s.ClientsFor(ctx, github, subject)
	if err != nil {
		t.Fatalf("clients of %s: %v", subject, err)
	}
	ids := make([]string, len(clients))
	for i, c := range clients {
		ids[i] = c.ID
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// TestStoreIdentitiesInAFlood: a flood of strangers takes their share of the storage. Workloads that were let in before do not need it
// again, although it is remembered for seconds only that a record does not exist.
func TestStoreIdentitiesInAFlood(t *testing.T) {
	m, s := newBookStore(t)
	var calls []string
	s.SetLookups(recorder{m, "unauthenticated ", &calls}, recorder{m, "known ", &calls})
	now := time.Now()
	s.SetNow(func() time.Time { return now })
	for _, subject := range []string{"repo:example/books:main", "repo:example/other:*"} {
		if err := identify(s, strings.Split(subject, ":")[1][len("example/"):], identity(subject)); err != nil {
			t.Fatal(err)
		}
	}
	clientsFor(t, s, "repo:example/books:main")
	for range 2 {
		now, calls = now.Add(time.Minute), nil
		if got := clientsFor(t, s, "repo:example/books:main") + clientsFor(t, s, "repo:example/other:a"); got != "booksother" {
			t.Errorf("found %s", got)
		}
		if slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "unauthenticated ") }) {
			t.Errorf("calls as a stranger: %q", calls)
		}
	}
	if calls = nil; clientsFor(t, s, "repo:stranger/x:main") != "" || !slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "unauthenticated ") }) {
		t.Errorf("an unknown subject: %q", calls)
	}
}

func TestStoreFindsClientsOfIdentities(t *testing.T) {
	m, here := newBookStore(t)
	there := newStore(m)
	long := "repo:example/long:" + strings.Repeat("x", 1000)
	if got := clientsFor(t, there, "repo:example/books:main"); got != "" {
		t.Errorf("before it is listed it has %s", got)
	}
	for id, subject := range map[string]string{"books": "repo:example/books:main", "team": "repo:example/team-*", "long": long, "other": "repo:example/other:*"} {
		if err := identify(here, id, identity(subject)); (err == nil) != (id != "team") {
			t.Fatalf("%s: %v", id, err)
		}
	}
	if _, err := there.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*store.Store{here, there} {
		for subject, want := range map[string]string{
			"repo:example/books:main": "books", "repo:example/books:x": "", long: "long", long + "x": "", "repo:example/other:a": "other",
			"repo:example/other:": "", "": "", strings.Repeat("x", 5000): "",
		} {
			if got := clientsFor(t, s, subject); got != want {
				t.Errorf("%.30s: %q; want %q", subject, got, want)
			}
		}
	}
	before := m.loads
	for range 100 {
		clientsFor(t, here, "repo:example/books:main")
		clientsFor(t, here, "repo:example/other:a")
		clientsFor(t, here, "repo:example/unknown:a")
	}
	if more := m.loads - before; more > 4 {
		t.Errorf("%d loads for what is in memory", more)
	}
	if _, err := here.EditClient(ctx, "books", func(*registry.Client) (*registry.Client, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if err := identify(here, "heir", identity("repo:example/books:main")); err != nil {
		t.Errorf("an identity of a client that was deleted: %v", err)
	}
	if _, err := there.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := clientsFor(t, there, "repo:example/books:main"); got != "heir" {
		t.Errorf("the other node finds %s", got)
	}
}

func TestStoreRefusesOneIdentityOfTwoClients(t *testing.T) {
	long := "repo:example/long:" + strings.Repeat("x", 1000)
	for _, c := range [][2]string{
		{"repo:example/books:main", "repo:example/books:main"},
		{"repo:example/books:*", "repo:example/books:main"},
		{"repo:example/books:main", "repo:example/books:*"},
		{"repo:example/*:main", "repo:example/books:*"},
		{long, long},
		{long, "repo:example/long:*"},
	} {
		m := newMemory()
		s := newStore(m)
		if err := identify(s, "first", identity(c[0])); err != nil {
			t.Fatal(err)
		}
		var conflict *registry.ConflictError
		if err := identify(s, "second", identity(c[1])); !errors.As(err, &conflict) || conflict.ClientID != "first" {
			t.Errorf("%.60s: %v", c, err)
		}
		if err := identify(s, "first", identity(c[1])); err != nil {
			t.Errorf("%.60s of one client: %v", c, err)
		}
		file := fmt.Sprintf(`{"clients": {"second": {"identities": [%s]}}}`, entryOf(t, identity(c[1])))
		var invalid *registry.InvalidError
		if _, err := s.Apply(ctx, "r.json", []byte(file), store.ApplyOptions{}); !errors.As(err, &invalid) || !strings.Contains(err.Error(), `r.json:1:14: client "second": an identity is of two clients: it overlaps one of client "first"`) {
			t.Errorf("%.60s: applying: %v", c, err)
		}
		if _, err := s.Apply(ctx, "r.json", []byte(file), store.ApplyOptions{Prune: true}); err != nil {
			t.Errorf("%.60s: replacing the other: %v", c, err)
		}
		_ = identify(s, "second")
		if err := identify(s, "first", identity(c[0])); err != nil {
			t.Fatal(err)
		}
		file = fmt.Sprintf(`{"clients": {"second": {"identities": [%s]}, "first": {}}}`, entryOf(t, identity(c[1])))
		if _, err := s.Apply(ctx, "r.json", []byte(file), store.ApplyOptions{}); err != nil {
			t.Errorf("%.60s: moving it: %v", c, err)
		}
	}
}

func entryOf(t *testing.T, i registry.Identity) string {
	t.Helper()
	if i.SubjectPattern != "" {
		return fmt.Sprintf(`{"issuer": %q, "subject_pattern": %q}`, i.Issuer, i.SubjectPattern)
	}
	return fmt.Sprintf(`{"issuer": %q, "subject": %q}`, i.Issuer, i.Subject)
}

// TestStoreIdentitiesAtRandom makes random changes, of which some fail half-way, on two nodes. Each lookup finds the clients
// that a search of all finds, and no subject has two.
func TestStoreIdentitiesAtRandom(t *testing.T) {
	m := newMemory()
	nodes := []*store.Store{newStore(m), newStore(m)}
	texts := []string{"repo:e/a:x", "repo:e/a:y", "repo:e/b:x", "repo:e/a:*", "repo:e/*:x", "repo:e/b:*", "repo:f/a:x", "repo:e/c:" + strings.Repeat("l", 500), "repo:e/c:*"}
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		s := nodes[random.IntN(2)]
		var list []registry.Identity
		for _, n := range random.Perm(len(texts))[:random.IntN(3)] {
			list = append(list, identity(texts[n]))
		}
		if random.IntN(4) == 0 {
			m.failFrom([]string{"store", "delete"}[random.IntN(2)], []string{"/identities/", "/clients/", "journal"}[random.IntN(3)], 1+random.IntN(3))
		}
		id := fmt.Sprintf("c%d", random.IntN(4))
		if random.IntN(6) == 0 {
			_, _ = s.EditClient(ctx, id, func(*registry.Client) (*registry.Client, error) { return nil, nil })
		} else {
			_ = identify(s, id, list...)
		}
		m.failing("nothing", "")
		s.Close() // so that the other node need not wait for the lock
		for _, node := range nodes {
			if _, err := node.Reload(); err != nil {
				t.Fatal(err)
			}
			for _, text := range texts {
				if strings.Contains(text, "*") {
					continue
				}
				want := ""
				for c, err := range all(t, node) {
					if err != nil {
						t.Fatal(err)
					}
					if slices.ContainsFunc(c.Identities, func(i registry.Identity) bool { return i.Covers(github, text) }) {
						want += " " + c.ID
					}
				}
				if got := clientsFor(t, node, text); got != strings.TrimSpace(want) || strings.Contains(got, " ") {
					t.Fatalf("round %d: %.20s is of %q; want %q", round, text, got, want)
				}
			}
		}
	}
}

// TestStoreKeepsNoSecondListOfClients lists clients only.
func TestStoreKeepsNoSecondListOfClients(t *testing.T) {
	_, s := newBookStore(t)
	if err := identify(s, "books", identity("repo:example/books:main")); err != nil {
		t.Fatal(err)
	}
	ids, err := s.ClientIDs(ctx, "", "", 0)
	if data, _ := json.Marshal(ids); err != nil || string(data) != `["books","ci-bot"]` {
		t.Errorf("clients %s, %v", data, err)
	}
}

// TestStoreKeepsToABrokenRecord: while a record of identities is broken, no other client gets an identity that it may name. A
// client that gives its identity up, and takes it again, repairs the record.
func TestStoreKeepsToABrokenRecord(t *testing.T) {
	long := "repo:example/long:" + strings.Repeat("x", 1000)
	for _, c := range []struct{ had, wanted string }{
		{"repo:example/books:main", "repo:example/books:main"}, {"repo:example/books:*", "repo:example/books:main"},
		{"repo:example/books:main", "repo:example/books:*"}, {long, "repo:example/long:*"},
	} {
		m, s := newBookStore(t)
		if err := identify(s, "books", identity(c.had)); err != nil {
			t.Fatal(err)
		}
		for _, key := range m.keys() {
			if strings.Contains(key, "/identities/") {
				m.edit(key, func([]byte) []byte { return []byte("broken") })
			}
		}
		if err := identify(s, "films", identity(c.wanted)); !errors.Is(err, registry.ErrBroken) {
			t.Errorf("%.30s, then %.30s: %v", c.had, c.wanted, err)
		}
		if err := identify(s, "books"); err != nil {
			t.Errorf("giving up %.30s: %v", c.had, err)
		}
		if err := identify(s, "books", identity(c.had)); err != nil {
			t.Errorf("taking %.30s again: %v", c.had, err)
		}
	}
}
