package store_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

// If the storage cannot be written, changes are refused and lookups continue.
func TestStoreThatCannotBeWritten(t *testing.T) {
	for _, c := range []struct{ operation, part string }{
		{"lock", ""}, {"store", "journal"}, {"store", "clients/"}, {"load", "journal"}, {"delete", ""},
	} {
		t.Run(c.operation+" "+c.part, func(t *testing.T) {
			m, s := newBookStore(t)
			description(t, s, "ci-bot")
			s.Close() // otherwise the lock is still held and not acquired again
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

// Each look has a new connection, which is lost for the same reason.
func TestStoreTellsOnceOfConnectionsThatAreLost(t *testing.T) {
	m, s := newBookStore(t)
	port := 40000
	m.fail = func(string, string) error {
		port++
		return fmt.Errorf("read tcp 127.0.0.1:%d->127.0.0.1:6379: i/o timeout", port)
	}
	for look := range 5 {
		if _, err := s.Reload(); (err != nil) != (look == 0) {
			t.Errorf("look %d says %v", look, err)
		}
	}
}

// Only a damaged object fails, and others do not.
func TestStoreWithADamagedObject(t *testing.T) {
	damages := map[string]func([]byte) []byte{
		"truncated":   func(b []byte) []byte { return b[:len(b)/2] },
		"empty":       func([]byte) []byte { return nil },
		"bit flipped": func(b []byte) []byte { b = slices.Clone(b); b[len(b)-5] ^= 1; return b },
		"swapped":     func(b []byte) []byte { return []byte(strings.Replace(string(b), " sha256:", "x sha256:", 1)) },
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

// A broken client can be deleted, or replaced by a file that names it. The next change replaces a broken journal.
func TestStoreIsRepaired(t *testing.T) {
	t.Parallel()
	breakIt := func([]byte) []byte { return []byte("garbage") }
	m, _ := newBookStore(t)
	m.edit("test/registry/clients/ci-bot.json", breakIt)
	s := newStore(m)
	if err := describe(s, "ci-bot", "changed"); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("a broken client is changed: %v", err)
	}
	end := func(*registry.Client) (*registry.Client, error) { return nil, nil }
	if change, err := s.EditClient(ctx, "ci-bot", end); err != nil || change.Action() != "delete" {
		t.Errorf("deleting a broken client: %v, %q", err, change.Action())
	}
	putClient(t, s, "ci-bot")
	m.edit("test/registry/clients/ci-bot.json", breakIt)
	if got := apply(t, newStore(m), `{"clients": {"ci-bot": {"description": "new"}}}`, store.ApplyOptions{}); got != "update ci-bot" {
		t.Errorf("applying onto a broken client: %s", got)
	}
	there := newStore(m)
	if got := description(t, there, "ci-bot"); got != "new" {
		t.Errorf("applied, the client is %q", got)
	}
	m.edit(journalKey, breakIt)
	if _, err := there.Reload(); !errors.Is(err, registry.ErrUnavailable) || there.Healthy() {
		t.Errorf("a broken journal: %v, healthy %v", err, there.Healthy())
	}
	s = newStore(m)
	if err := describe(s, "ci-bot", "repaired"); err != nil {
		t.Fatalf("a change with a broken journal: %v", err)
	}
	if _, err := there.Reload(); err != nil || !there.Healthy() {
		t.Errorf("after the change: %v", err)
	}
	if got := description(t, there, "ci-bot"); got != "repaired" {
		t.Errorf("the other node has %q", got)
	}
}

// TestStoreRepairsAJournalThatItHasNotFollowed: a node that replaces a broken journal may have seen less than others, and
// another may replace it again before those have looked. All of them see all changes.
func TestStoreRepairsAJournalThatItHasNotFollowed(t *testing.T) {
	for repairs := 1; repairs <= 3; repairs++ {
		m, ahead := newBookStore(t)
		putClient(t, ahead, "other")
		ahead.Close()
		var behind []*store.Store
		for range repairs {
			behind = append(behind, newStore(m))
			description(t, behind[len(behind)-1], "ci-bot")
		}
		description(t, ahead, "ci-bot")
		if err := describe(ahead, "other", "changed"); err != nil {
			t.Fatal(err)
		}
		ahead.Close()
		for n, s := range behind {
			m.edit(journalKey, func(b []byte) []byte { return b[:len(b)/2] })
			if err := describe(s, "ci-bot", fmt.Sprint("repair ", n)); err != nil {
				t.Fatal(err)
			}
			description(t, s, "ci-bot") // from now on from memory
			s.Close()
		}
		for n, s := range append(behind, ahead) {
			if _, err := s.Reload(); err != nil || !s.Healthy() {
				t.Errorf("after %d repairs, the look of %d says %v", repairs, n, err)
			}
			if got := description(t, s, "ci-bot"); got != fmt.Sprint("repair ", repairs-1) {
				t.Errorf("after %d repairs, %d has %q", repairs, n, got)
			}
		}
	}
}

const journalKey = "test/registry/journal.json"

// TestStoreWithAJournalThatWasChanged: no node misses a change, whichever bit of the journal flips.
func TestStoreWithAJournalThatWasChanged(t *testing.T) {
	m, here := newBookStore(t)
	before := maps.Clone(m.objects)
	if err := describe(here, "ci-bot", "changed"); err != nil {
		t.Fatal(err)
	}
	here.Close()
	after := maps.Clone(m.objects)
	for bit := range 8 * len(after[journalKey]) {
		m.objects = maps.Clone(before)
		there := newStore(m)
		description(t, there, "ci-bot")
		m.objects = maps.Clone(after)
		m.edit(journalKey, func(b []byte) []byte { b = slices.Clone(b); b[bit/8] ^= 1 << (bit % 8); return b })
		_, _ = there.Reload()
		if got := description(t, there, "ci-bot"); got != "changed" {
			t.Errorf("with %s the client is still %q, healthy %v", m.objects[journalKey], got, there.Healthy())
		}
		if there.Healthy() {
			t.Errorf("%s is taken for whole", m.objects[journalKey])
		}
	}
}

func TestStoreReadsJournals(t *testing.T) {
	const content = `{"sequence":7,"recent":[{"sequence":7,"keys":["test/registry/clients/ci-bot.json"]}]}`
	sealed := string(envelope.Seal("journal", []byte(content)))
	for name, c := range map[string]struct {
		journal string
		taken   bool
	}{
		"whole":                             {sealed, true},
		"without a checksum":                {content, false},
		"with another member":               {strings.Replace(sealed, `"recent"`, `"recemt"`, 1), false},
		"with another member of a change":   {strings.Replace(sealed, `"keys"`, `"keyz"`, 1), false},
		"with a wrong checksum":             {strings.Replace(sealed, "sha256:", "sha256:00", 1), false},
		"twice":                             {sealed + sealed, false},
		"cut off":                           {sealed[:len(sealed)-1], false},
		"empty":                             {"", false},
		"of a kind that is not the journal": {string(envelope.Seal("client journal", []byte(content))), false},
	} {
		m, writer := newBookStore(t)
		writer.Close()
		m.edit(journalKey, func([]byte) []byte { return []byte(c.journal) })
		s := newStore(m)
		if err := s.Open(ctx); (err == nil) != c.taken || !c.taken && !strings.Contains(err.Error(), "journal.json: it is truncated or was changed") {
			t.Errorf("%s: %v", name, err)
		}
		if err := describe(s, "ci-bot", "changed"); err != nil {
			t.Errorf("%s: a change says %v", name, err)
		}
		if err := newStore(m).Open(ctx); err != nil {
			t.Errorf("%s, after a change: %v", name, err)
		}
		if c.taken && s.Revision() != "8" {
			t.Errorf("%s: the next change is number %s", name, s.Revision())
		}
	}
}

// TestStoreListsAgain: an object that is deleted during a listing does not make all others look deleted.
func TestStoreListsAgain(t *testing.T) {
	m, _ := newBookStore(t)
	m.cut = 3
	s := newStore(m)
	if _, err := s.Resource(ctx, "book"); err != nil {
		t.Errorf("after listings that were cut short: %v", err)
	}
	m.cut = 1_000
	if err := newStore(m).Open(ctx); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("with listings that are never whole: %v", err)
	}
}
