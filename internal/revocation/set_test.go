package revocation

import (
	"fmt"
	"testing"
	"time"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func TestRevoked(t *testing.T) {
	set := new(Set).with([]Entry{
		OfToken("A", noon.Add(time.Minute)),
		OfClient("bot", noon),
		OfClient("twice", noon.Add(-time.Hour)), OfClient("twice", noon), OfClient("twice", noon.Add(-time.Minute)),
	}, noon)
	for _, test := range []struct {
		name, id, client string
		issued           time.Time
		want             bool
	}{
		{"the token", "A", "other", noon.Add(-time.Hour), true},
		{"the token, whenever issued", "A", "other", noon.Add(time.Hour), true},
		{"another token", "B", "other", noon, false},
		{"a token in other letters", "a", "other", noon, false},
		{"no jti", "", "other", noon, false},
		{"neither jti nor client", "", "", time.Time{}, false},
		{"the client's, issued before", "C", "bot", noon.Add(-time.Second), true},
		{"the client's, issued in that second", "C", "bot", noon, true},
		{"the client's, issued later in that second", "C", "bot", noon.Add(999 * time.Millisecond), true},
		{"the client's, issued after", "C", "bot", noon.Add(time.Second), false},
		{"the latest of several moments counts", "D", "twice", noon, true},
		{"the client of the name of a token", "C", "A", noon, false},
		{"the token of the name of a client", "bot", "other", noon, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for kind, s := range map[string]*Set{"young": set, "old": set.without(noon), "both": set.without(noon).with([]Entry{OfToken("X", noon)}, noon)} {
				if got := s.Revoked(test.id, test.client, test.issued); got != test.want {
					t.Errorf("%s: %t, want %t", kind, got, test.want)
				}
			}
			if (*Set)(nil).Revoked(test.id, test.client, test.issued) {
				t.Error("an empty set has it")
			}
		})
	}
	if set.Len() != 3 {
		t.Errorf("%d entries, want 3", set.Len())
	}
}

// TestEntriesAreKeptForLeeways: a door takes a token some minutes after it has expired.
func TestEntriesAreKeptForLeeways(t *testing.T) {
	set := new(Set).with([]Entry{OfToken("A", noon), OfClient("bot", noon)}, noon)
	for _, test := range []struct {
		after         time.Duration
		token, client bool
	}{
		{0, true, true},
		{9 * time.Minute, true, true},
		{10 * time.Minute, false, true},
		{24 * time.Hour, false, true},
		{24*time.Hour + 10*time.Minute, false, false},
	} {
		s := set.without(noon.Add(test.after))
		if got := s.Revoked("A", "", noon); got != test.token {
			t.Errorf("%s after: the token is revoked: %t", test.after, got)
		}
		if got := s.Revoked("B", "bot", noon); got != test.client {
			t.Errorf("%s after: the client's are revoked: %t", test.after, got)
		}
	}
	if s := new(Set).with([]Entry{OfToken("A", noon)}, noon.Add(time.Hour)); s.Len() != 0 {
		t.Error("an entry that is over was taken")
	}
}

func TestLaterEntriesOfTheSameNameCount(t *testing.T) {
	set := new(Set).with([]Entry{OfToken("A", noon), OfClient("bot", noon)}, noon).without(noon)
	set = set.with([]Entry{OfToken("A", noon.Add(time.Hour)), OfClient("bot", noon.Add(time.Minute)), OfToken("A", noon)}, noon)
	if set.Len() != 2 {
		t.Errorf("%d entries, want 2", set.Len())
	}
	if later := set.without(noon.Add(30 * time.Minute)); !later.Revoked("A", "", noon) || !later.Revoked("", "bot", noon.Add(time.Minute)) {
		t.Error("the later entry was lost")
	}
}

func TestAnEntryOfTheSetIsNeverChanged(t *testing.T) {
	before := new(Set).with([]Entry{OfToken("A", noon)}, noon)
	before.with([]Entry{OfToken("B", noon)}, noon)
	if before.Revoked("B", "", noon) || before.Len() != 1 {
		t.Error("a set has changed")
	}
}

func TestEntriesInPages(t *testing.T) {
	set := new(Set).with([]Entry{OfToken("B", noon), OfClient("bot", noon), OfToken("A", noon), OfClient("ant", noon)}, noon)
	var names []string
	var after Entry
	for {
		page := set.Entries(noon, after, 3)
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			names = append(names, e.ID+e.ClientID)
		}
		after = page[len(page)-1]
	}
	if got := fmt.Sprint(names); got != "[ant bot A B]" {
		t.Errorf("pages have %s", got)
	}
}

func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		entry Entry
		ok    bool
	}{
		"a token":                      {OfToken("A", noon.Add(time.Minute)), true},
		"a token that has expired":     {OfToken("A", noon.Add(-time.Hour)), true},
		"a token of the longest life":  {OfToken("A", noon.Add(24*time.Hour)), true},
		"a token of too long a life":   {OfToken("A", noon.Add(25*time.Hour)), false},
		"a client":                     {OfClient("bot", noon), true},
		"a client, some minutes ahead": {OfClient("bot", noon.Add(5*time.Minute)), true},
		"a client, an hour ahead":      {OfClient("bot", noon.Add(time.Hour)), false},
		"nothing":                      {Entry{Expires: noon}, false},
		"both":                         {Entry{ID: "A", ClientID: "bot", Expires: noon}, false},
		"a line break":                 {OfToken("A\nB", noon), false},
		"not UTF-8":                    {OfToken("A\xff", noon), false},
		"too long":                     {OfToken(fmt.Sprintf("%01025d", 0), noon), false},
	} {
		if err := test.entry.Check(noon); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// flood is a set of 100,000 tokens.
func flood(tb testing.TB) *Set {
	tb.Helper()
	var set *Set
	for n := range 100_000 {
		set = set.with([]Entry{OfToken(floodID(n), noon.Add(time.Minute))}, noon)
	}
	return set
}

func floodID(n int) string { return fmt.Sprintf("%026d", n) }

// TestFlood: entries one by one do not take time or memory that grows with the square of their number.
func TestFlood(t *testing.T) {
	set := flood(t)
	if set.Len() != 100_000 || len(set.young.tokens) > maxYoung {
		t.Fatalf("%d entries, %d of them young", set.Len(), len(set.young.tokens))
	}
	for n := range 100_000 {
		if !set.Revoked(floodID(n), "bot", noon) {
			t.Fatalf("entry %d was lost", n)
		}
	}
	if allocs := testing.AllocsPerRun(100, func() { set.Revoked("not there", "bot", noon) }); allocs != 0 {
		t.Errorf("a lookup allocates %g times", allocs)
	}
	if set = set.without(noon.Add(time.Hour)); set.Len() != 0 {
		t.Errorf("%d entries are left", set.Len())
	}
}

func BenchmarkRevoked(b *testing.B) {
	for name, set := range map[string]*Set{"empty": new(Set), "100000": flood(b)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if set.Revoked("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "bot", noon) {
					b.Fatal("revoked")
				}
			}
		})
	}
}
