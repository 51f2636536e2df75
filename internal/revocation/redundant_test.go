package revocation

import (
	"errors"
	"fmt"
	"path"
	"testing"
	"time"
)

// of returns the revocation of a token that a client was issued some time after noon, and that lives an hour.
func of(owner, id string, after time.Duration) Entry {
	issued := noon.Add(after)
	return OfClientToken(id, owner, issued, issued.Add(time.Hour))
}

func TestRedundant(t *testing.T) {
	outlives := of("bot", "F", 0)
	outlives.Expires = noon.Add(MaxTokenLife + time.Second)
	for name, test := range map[string]struct {
		entry Entry
		want  bool
	}{
		"issued before":                {of("bot", "A", -time.Second), true},
		"issued in that second":        {of("bot", "B", 0), true},
		"issued after":                 {of("bot", "C", time.Second), false},
		"of another client":            {of("ant", "D", -time.Minute), false},
		"of an unknown client":         {OfToken("E", noon), false},
		"expires after the client's":   {outlives, false},
		"the client, up to earlier":    {OfClient("bot", noon.Add(-time.Second)), true},
		"the client, up to the same":   {OfClient("bot", noon), false},
		"the client, up to later":      {OfClient("bot", noon.Add(time.Second)), false},
		"another client, up to before": {OfClient("ant", noon.Add(-time.Second)), false},
	} {
		set := new(Set).with([]Entry{test.entry, OfClient("bot", noon)}, noon) // in either order, and in either layer
		after := new(Set).with([]Entry{OfClient("bot", noon)}, noon).without(noon).with([]Entry{test.entry}, noon)
		before := new(Set).with([]Entry{test.entry}, noon).without(noon).with([]Entry{OfClient("bot", noon)}, noon)
		for _, s := range []*Set{set, after, before} {
			if got := s.redundant(test.entry); got != test.want {
				t.Errorf("%s: redundant is %t", name, got)
			}
			if test.entry.ID != "" && s.hasToken(test.entry.ID) == test.want {
				t.Errorf("%s: the set has %v", name, s.All(noon))
			}
		}
	}
}

func TestCut(t *testing.T) {
	for name, test := range map[string]struct {
		issued []time.Duration // after noon, in any order
		keep   int
		latest time.Duration
		want   time.Duration
		ok     bool
	}{
		"few":                       {[]time.Duration{1, 2, 3}, 3, 9, 0, false},
		"the older ones":            {[]time.Duration{3, 1, 4, 2}, 2, 9, 2, true},
		"several of one second":     {[]time.Duration{1, 2, 2, 3}, 2, 9, 2, true},
		"all of one second":         {[]time.Duration{5, 5, 5}, 1, 9, 5, true},
		"not after the latest":      {[]time.Duration{1, 7, 8, 9}, 1, 7, 7, true},
		"none is before the latest": {[]time.Duration{8, 8, 9}, 1, 7, 0, false},
		"all":                       {[]time.Duration{1, 2}, 0, 9, 2, true},
	} {
		n := newNode(t, newMemory())
		n.at.Store(int64(time.Minute))
		for k, after := range test.issued {
			n.revoke(of("bot", fmt.Sprint(k), after*time.Second), of("ant", fmt.Sprint("ant", k), 0))
		}
		entry, ok := n.Cut("bot", test.keep, noon.Add(test.latest*time.Second))
		if ok != test.ok || ok && (entry.ClientID != "bot" || !entry.Before.Equal(noon.Add(test.want*time.Second))) {
			t.Errorf("%s: %v, %t", name, entry, ok)
		}
	}
}

func TestCutLargest(t *testing.T) {
	n := newNode(t, newMemory())
	n.at.Store(int64(time.Hour))
	for client, count := range map[string]int{"a": 100, "b": 60, "c": 10, "d": 1} {
		for k := range count {
			n.revoke(of(client, fmt.Sprint(client, k), time.Duration(k)*time.Second))
		}
	}
	entries := n.CutLargest(100, 16, n.now())
	n.revoke(entries...)
	for client, want := range map[string]int{"a": 44, "b": 44, "c": 10, "d": 1} {
		if own, all := n.Share(client); own != want || all != 99 {
			t.Errorf("%s has %d of %d, want %d; the cuts are %v", client, own, all, want, entries)
		}
	}
	if entries := n.CutLargest(5, 16, n.now()); len(entries) != 2 {
		t.Errorf("clients with few are cut, too: %v", entries)
	}
}

// TestCollapseShrinksEverything: redundant entries go from memory, storage, feed and remote doors, at all nodes, and nothing
// else goes.
func TestCollapseShrinksEverything(t *testing.T) {
	storage := newMemory()
	a, b := newNode(t, storage), newNode(t, storage)
	for _, n := range []*node{a, b} {
		n.at.Store(int64(time.Hour))
		n.reload()
	}
	door := newCopyAt(a)
	take := func(since time.Time) {
		t.Helper()
		if err := door.Take(told(t, a, since), since); err != nil {
			t.Fatal(err)
		}
	}
	const many = 4 * segmentSize
	for k := range many {
		entries := []Entry{of("bot", fmt.Sprint("bot", k), time.Duration(k)*time.Second)}
		if k%4 == 0 {
			entries = append(entries, of("ant", fmt.Sprint("ant", k), time.Duration(k)*time.Second))
		}
		a.revoke(entries...)
		if k == many/2 {
			take(time.Time{}) // it learns that there are many, and then the rest
		}
	}
	a.reload()
	b.reload()
	since := door.AsOf()
	take(since)
	feed, held := len(told(t, a, time.Time{}).Tokens), door.Len()

	entry, ok := a.Cut("bot", 48, a.now())
	if !ok {
		t.Fatal("nothing to cut")
	}
	a.revoke(entry)
	for range 3 {
		for _, n := range []*node{a, b} {
			n.at.Add(int64(sweepInterval))
			n.reload()
		}
	}
	a.awaitDeletion()
	const left = 48 + many/4 + 1
	fresh := newNode(t, storage)
	fresh.at.Store(a.at.Load())
	fresh.reload()
	for name, n := range map[string]*node{"who collapsed": a, "who read it": b, "who starts later": fresh} {
		if got := n.Set().Len(); got != left {
			t.Errorf("%s has %d entries, want %d", name, got, left)
		}
		if own, all := n.Share("bot"); own != 48 || all != left-1 {
			t.Errorf("%s counts %d of %d", name, own, all)
		}
	}
	stored := 0
	for _, key := range storage.names() {
		entries, err := decodeSegment(key, storage.objects[key])
		if err != nil {
			t.Fatal(err)
		}
		stored += len(entries)
	}
	if stored > left+segmentSize/4 {
		t.Errorf("%d entries are stored, of which %d are needed", stored, left)
	}
	if got := len(told(t, a, time.Time{}).Tokens); got != left-1 || feed <= got {
		t.Errorf("the feed has %d tokens of %d, want %d", got, feed, left-1)
	}
	if got := len(told(t, a, since).Tokens); got > left {
		t.Errorf("what is new since then has %d tokens", got)
	}
	take(since) // only the news
	if got := door.Len(); got > left+manyOwned || held < many {
		t.Errorf("the door had %d entries, and has %d", held, got)
	}
	for k := range many {
		id, issued := fmt.Sprint("bot", k), noon.Add(time.Duration(k)*time.Second)
		if !door.Revoked(id, "bot", issued) {
			t.Fatalf("the door lets %s in", id)
		}
		for _, n := range []*node{a, b, fresh} {
			if revoked, err := n.Revoked(t.Context(), id, "bot", issued); err != nil || !revoked {
				t.Fatalf("%s is let in: %v", id, err)
			}
		}
	}
	if door.Revoked("new", "bot", entry.Before.Add(time.Second)) || door.Revoked("new", "ant", noon) {
		t.Error("the door refuses other tokens")
	}
	if len(a.faults)+len(b.faults) > 0 {
		t.Errorf("faults: %q, %q", a.faults, b.faults)
	}
}

// TestCollapsedAreNotLost: a node that reads everything again does not store what another node has collapsed and deleted.
func TestCollapsedAreNotLost(t *testing.T) {
	storage := newMemory()
	a, b := newNode(t, storage), newNode(t, storage)
	a.at.Store(int64(time.Minute))
	for k := range 20 {
		a.revoke(of("bot", fmt.Sprint(k), time.Duration(k)*time.Second))
	}
	b.at.Store(a.at.Load())
	b.reload()
	b.OnRestored = func(entries int) { t.Errorf("%d entries are stored again", entries) }
	entry, _ := a.Cut("bot", 5, a.now())
	a.revoke(entry)
	a.awaitDeletion()
	b.at.Add(int64(verifyInterval))
	b.reload()
	if got := b.Set().Len(); got != 6 {
		t.Errorf("the node knows %d", got)
	}
}

// TestDoorsAreBoundedWithManyClients: a remote door forgets what collapses, also if no client has revoked very many tokens.
func TestDoorsAreBoundedWithManyClients(t *testing.T) {
	n := newNode(t, newMemory())
	n.at.Store(int64(time.Second))
	n.reload()
	door := newCopyAt(n)
	const clients, most, rounds = 5, 1000, 12
	for round := range rounds {
		var entries []Entry
		for k := range most / 2 {
			n.at.Add(int64(time.Second) / 10)
			owner := fmt.Sprint("client", k%clients)
			entries = append(entries, of(owner, fmt.Sprint(round, "-", k), n.now().Sub(noon)))
		}
		n.revoke(entries...)
		for _, step := range []func(){func() {}, func() { n.revoke(n.CutLargest(most/2, 16, n.now())...) }} {
			step()
			n.reload()
			if err := door.Take(told(t, n, door.AsOf()), door.AsOf()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := door.Len(); got > most+clients*manyOwned {
		t.Errorf("the door has %d entries after %d revocations, of which %d are in force", got, rounds*most/2, n.Set().Len())
	}
}

// TestNodesOfEarlierVersionsRead: an owner does not disturb a node that does not know of owners.
func TestNodesOfEarlierVersionsRead(t *testing.T) {
	key := path.Join("x", segmentName([]Entry{of("bot", "A", 0)}, "w", 1))
	object, err := encodeSegment(key, []Entry{of("bot", "A", 0), token("B"), OfClient("bot", noon)})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := decodeSegment(key, object)
	if err != nil || len(entries) != 3 || entries[0] != of("bot", "A", 0) || entries[1] != token("B") || entries[2] != OfClient("bot", noon) {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestCollapseThatIsInterrupted: whatever step of a collapse fails, and a node ends after it, those that start later know all.
func TestCollapseThatIsInterrupted(t *testing.T) {
	for _, failing := range []string{"Store", "Delete", "List", "Load"} {
		storage := newMemory()
		a := newNode(t, storage)
		a.at.Store(int64(time.Minute))
		for k := range 20 {
			a.revoke(of("bot", fmt.Sprint(k), time.Duration(k)*time.Second))
		}
		a.awaitDeletion()
		entry, _ := a.Cut("bot", 5, a.now())
		if failing == "Store" { // the client's revocation is not stored
			storage.set(failing)
			if err := a.Revoke(t.Context(), entry); !errors.Is(err, ErrUnavailable) {
				t.Fatal(err)
			}
			if own, _ := a.Share("bot"); own != 20 {
				t.Errorf("%d are left of what is not collapsed", own)
			}
		} else {
			a.revoke(entry)
			storage.set(failing)
			_ = a.Reload()
		}
		storage.set("")
		b := newNode(t, storage)
		b.at.Store(a.at.Load())
		for k := range 20 {
			if revoked, err := b.Revoked(t.Context(), fmt.Sprint(k), "bot", noon.Add(time.Duration(k)*time.Second)); err != nil || !revoked {
				t.Errorf("after a failed %s, token %d is let in: %v", failing, k, err)
			}
		}
		if revoked, _ := b.Revoked(t.Context(), "new", "bot", b.now()); revoked {
			t.Errorf("after a failed %s, a new token is refused", failing)
		}
	}
}

// TestFeedSize is about the size of the feed that is signed.
func TestFeedSize(t *testing.T) {
	n := newNode(t, newMemory())
	n.at.Store(int64(time.Hour))
	for name, entry := range map[string]func(k int) Entry{
		"tokens":            func(k int) Entry { return OfToken(fmt.Sprint("t", k), noon.Add(9*time.Hour)) },
		"tokens of clients": func(k int) Entry { return of("bot", fmt.Sprint("o", k), 2*time.Hour) },
		"clients":           func(k int) Entry { return OfClient(fmt.Sprint("c", k), noon) },
	} {
		var entries []Entry
		for k := range 1000 {
			entries = append(entries, entry(k))
		}
		n.revoke(entries...)
		claims, err := told(t, n, time.Time{}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if actual, guess := len(claims)*4/3, n.FeedSize(); guess < actual*95/100-300 || guess > actual*105/100+300 {
			t.Errorf("with %s it has %d bytes, and the guess is %d", name, actual, guess)
		}
	}
}
