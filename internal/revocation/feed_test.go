package revocation

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// told takes a node's feed through its encoding, as a door gets it.
func told(t testing.TB, n *node, since time.Time) *Feed {
	t.Helper()
	f := n.Feed(since)
	f.Issuer, f.IssuedAt = "https://a.example", n.now().Unix()
	claims, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	f, err = ParseFeed(claims, "https://a.example", n.now())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func newCopyAt(n *node) *Copy {
	c := NewCopy()
	c.now = n.now
	return c
}

func TestFeedTellsWhatIsRevoked(t *testing.T) {
	n := newNode(t, newMemory())
	n.revoke(token("A"), OfClient("bot", noon))
	c := newCopyAt(n)
	f := told(t, n, time.Time{})
	if claims, err := f.Encode(); err != nil || strings.Contains(string(claims), `"A"`) || strings.Contains(string(claims), "bot") {
		t.Errorf("names are told: %s", claims)
	}
	f.Keys = map[string]int64{"leaked": noon.Add(time.Hour).Unix()}
	if err := c.Take(f, time.Time{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		id, client string
		issued     time.Time
		want       bool
	}{
		{"A", "other", noon, true},
		{"B", "other", noon, false},
		{"B", "bot", noon, true},
		{"B", "bot", noon.Add(time.Second), false},
		{"bot", "A", noon, false},
		{"", "", noon, false},
		{digest("A"), digest("bot"), noon, false},
	} {
		if got := c.Revoked(test.id, test.client, test.issued); got != test.want {
			t.Errorf("%q of %q: %t", test.id, test.client, got)
		}
	}
	if !c.KeyRevoked("leaked") || c.KeyRevoked("good") || c.Len() != 2 || !c.AsOf().Equal(noon) {
		t.Errorf("keys, %d entries, as of %s", c.Len(), c.AsOf())
	}
	n.at.Store(int64(25 * time.Hour))
	n.reload()
	if err := c.Take(told(t, n, time.Time{}), time.Time{}); err != nil || c.Len() != 0 {
		t.Errorf("what is over is kept: %d, %v", c.Len(), err)
	}
}

// TestCopyKeepsKeys: who has a key that has leaked signs tokens that expire when they like, so that the door refuses
// them for as long as it may have the key, and not only until those of the issuer have expired.
func TestCopyKeepsKeys(t *testing.T) {
	n := newNode(t, newMemory())
	n.revoke(token("A"))
	c := newCopyAt(n)
	f := told(t, n, time.Time{})
	f.Keys = map[string]int64{"leaked": noon.Add(15 * time.Minute).Unix()}
	if err := c.Take(f, time.Time{}); err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{26 * time.Minute, 25 * time.Hour} {
		n.at.Store(int64(later))
		n.reload()
		if err := c.Take(told(t, n, time.Time{}), time.Time{}); err != nil || !c.KeyRevoked("leaked") {
			t.Errorf("%s later its tokens are taken: %v", later, err)
		}
	}
}

// TestCopyIsBounded, and what is over does not count.
func TestCopyIsBounded(t *testing.T) {
	n := newNode(t, newMemory())
	c := newCopyAt(n)
	flood := &Feed{AsOf: noon.Unix(), Tokens: make(map[string]int64)}
	for k := range maxCopied {
		flood.Tokens[digest(floodID(k))] = noon.Add(time.Minute).Unix()
	}
	if err := c.Take(flood, time.Time{}); err != nil || c.Len() != maxCopied {
		t.Fatalf("%d are kept: %v", c.Len(), err)
	}
	one := &Feed{AsOf: noon.Unix(), Tokens: map[string]int64{digest("A"): noon.Add(time.Hour).Unix()}}
	if err := c.Take(one, time.Time{}); err == nil || c.Len() != maxCopied || c.Revoked("A", "", noon) {
		t.Errorf("one too many: %d are kept, and %v", c.Len(), err)
	}
	n.at.Store(int64(12 * time.Minute)) // the flood is over
	if err := c.Take(one, time.Time{}); err != nil || c.Len() != 1 || !c.Revoked("A", "", noon) {
		t.Errorf("what is over takes the room of what is not: %d are kept, and %v", c.Len(), err)
	}
	keys := &Feed{AsOf: noon.Unix(), Keys: make(map[string]int64)}
	for k := range maxCopiedKeys + 1 {
		keys.Keys[floodID(k)] = 1
	}
	if err := c.Take(keys, time.Time{}); err == nil || c.KeyRevoked(floodID(0)) {
		t.Errorf("any number of keys is taken: %v", err)
	}
}

// TestFeedSince: what was known before, and the margin, is left out; where that cannot be told all is there.
func TestFeedSince(t *testing.T) {
	n := newNode(t, newMemory())
	n.revoke(token("old"))
	n.at.Store(int64(time.Minute))
	n.revoke(OfToken("new", noon.Add(time.Hour)))
	n.at.Store(int64(5 * time.Minute))
	n.revoke(OfToken("newer", noon.Add(time.Hour)))
	n.reload() // reads what is known
	for _, test := range []struct {
		name  string
		since time.Duration
		want  string
	}{
		{"none", -24 * 365 * 100 * time.Hour, "0 old new newer"},
		{"before the start", time.Minute, "0 old new newer"},
		{"the margin goes back to the start", 2 * time.Minute, "120 old new newer"},
		{"the margin leaves the first out", 2*time.Minute + time.Second, "121 new newer"},
		{"the margin leaves two out", 3*time.Minute + 30*time.Second, "210 newer"},
		{"now", 5 * time.Minute, "300 newer"},
		{"the future", 5*time.Minute + time.Second, "0 old new newer"},
	} {
		since := noon.Add(test.since)
		f := told(t, n, since)
		got := fmt.Sprint(max(f.Since-noon.Unix(), 0))
		for _, id := range []string{"old", "new", "newer"} {
			if _, ok := f.Tokens[digest(id)]; ok {
				got += " " + id
			}
		}
		if n.CoversSince(since) != (f.Since != 0) {
			t.Errorf("%s: recalled: %t, since %d", test.name, n.CoversSince(since), f.Since)
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	n.at.Store(int64(16 * time.Minute))
	if f := told(t, n, noon.Add(5*time.Minute)); f.Since != 0 {
		t.Error("it goes back further than its window")
	}
	n.at.Store(int64(30 * time.Minute))
	n.revoke(OfToken("newest", noon.Add(time.Hour)))
	if len(n.recent) != 1 {
		t.Errorf("%d are kept as new", len(n.recent))
	}
	if n.Changes() != 4 {
		t.Errorf("%d changes", n.Changes())
	}
}

// TestFeedIsAsOfTheLastLook: a node that has lost the storage does not pretend to know.
func TestFeedIsAsOfTheLastLook(t *testing.T) {
	storage := newMemory()
	n := newNode(t, storage)
	n.revoke(token("A"))
	n.at.Store(int64(10 * time.Second))
	n.reload()
	storage.set("List")
	n.at.Store(int64(20 * time.Second))
	_ = n.Reload()
	if f := told(t, n, time.Time{}); f.AsOf != noon.Add(10*time.Second).Unix() || len(f.Tokens) != 1 {
		t.Errorf("as of %s", time.Unix(f.AsOf, 0))
	}
}

// TestFeedAfterTheClockIsPutBack: none is better than one that no door takes and that is kept for a while, or than one
// that claims to know more than it does.
func TestFeedAfterTheClockIsPutBack(t *testing.T) {
	n := newNode(t, newMemory())
	n.at.Store(int64(10 * time.Second))
	n.reload()
	n.at.Store(int64(5 * time.Second))
	f := n.Feed(time.Time{})
	f.IssuedAt = n.now().Unix()
	if claims, err := f.Encode(); err == nil {
		t.Errorf("it says %s", claims)
	}
	n.reload()
	if f := told(t, n, time.Time{}); f.AsOf != n.now().Unix() {
		t.Errorf("as of %s", time.Unix(f.AsOf, 0))
	}
}

// TestFeedOfAStartWithTheClockAhead: once the clock was put back feeds tell what is new, and not all there is for as long
// as the clock was ahead.
func TestFeedOfAStartWithTheClockAhead(t *testing.T) {
	n := newNode(t, newMemory())
	n.at.Store(int64(time.Hour))
	n.revoke(OfToken("old", noon.Add(12*time.Hour)))
	n.at.Store(0)
	n.reload()
	if since := noon.Add(-time.Second); n.CoversSince(since) {
		t.Error("it claims to know what became known before the clock was put back")
	}
	n.at.Store(int64(5 * time.Minute))
	n.revoke(OfToken("new", noon.Add(12*time.Hour)))
	n.reload()
	since := noon.Add(4 * time.Minute)
	if f := told(t, n, since); f.Since != since.Unix() || f.Tokens[digest("new")] == 0 {
		t.Errorf("since %s there are %v", time.Unix(f.Since, 0), f.Tokens)
	}
}

// TestFeedWhileTheFirstLookEnds: a feed as of 1970 would be kept for a while, and no door takes it.
func TestFeedWhileTheFirstLookEnds(t *testing.T) {
	n := newNode(t, newMemory())
	n.set.Store(new(Set)) // is there before it is noted when the look was
	if n.looked.Store(0); n.Open(t.Context()) != nil || n.Feed(time.Time{}).AsOf != noon.Unix() {
		t.Errorf("as of %d", n.Feed(time.Time{}).AsOf)
	}
}

// TestCopyIsWhole: whichever of several nodes answers, whatever their clocks say, and however many answers are lost,
// what was revoked before the moment of which the copy speaks is in it.
func TestCopyIsWhole(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		storage := newMemory()
		nodes := []*node{newNode(t, storage), newNode(t, storage), newNode(t, storage)}
		skew := make([]time.Duration, len(nodes))
		for k := range nodes {
			skew[k] = time.Duration(random.IntN(240)-120) * time.Second / 2 // two are apart by the margin at most
			nodes[k].at.Store(int64(skew[k]))
			nodes[k].reload()
		}
		c := newCopyAt(nodes[0])
		revokedAt := make(map[string]time.Duration)
		var since time.Time
		var now time.Duration
		for step := range 300 {
			now += time.Duration(random.IntN(8000)) * time.Millisecond
			for k, n := range nodes {
				n.at.Store(int64(now + skew[k]))
			}
			k := random.IntN(len(nodes))
			switch random.IntN(4) {
			case 0:
				id := fmt.Sprint(step)
				nodes[k].revoke(OfToken(id, noon.Add(now+12*time.Hour)))
				revokedAt[id] = now
			case 1:
				nodes[k].reload()
			default:
				if err := c.Take(told(t, nodes[k], since), since); err != nil {
					t.Fatal(err)
				}
				since = c.AsOf()
				for id, at := range revokedAt {
					// as of is by some node's clock: the one that is behind says least
					if at < since.Sub(noon)-2*time.Minute && !c.Revoked(id, "", noon) {
						t.Fatalf("seed %d, step %d: %s, revoked at %s, is missing as of %s", seed, step, id, at, since.Sub(noon))
					}
				}
			}
		}
	}
}

func TestCopyRefuses(t *testing.T) {
	n := newNode(t, newMemory())
	n.revoke(token("A"))
	c := newCopyAt(n)
	if err := c.Take(&Feed{AsOf: noon.Unix(), Since: noon.Unix()}, time.Time{}); err == nil || !c.AsOf().IsZero() {
		t.Errorf("a feed with a gap was taken: %v", err)
	}
	if err := c.Take(told(t, n, time.Time{}), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Take(&Feed{AsOf: noon.Add(-time.Hour).Unix()}, c.AsOf()); err != nil || !c.AsOf().Equal(noon) || !c.Revoked("A", "", noon) {
		t.Errorf("an older feed took something back: %v", err)
	}
}

func TestParseFeed(t *testing.T) {
	const good = `{"iss":"https://a.example","iat":1893499200,"as_of":1893499200,"since":0,` +
		`"tokens":{"AAAAAAAAAAAAAAAAAAAAAA":1893499260},"clients":{"AAAAAAAAAAAAAAAAAAAAAA":{"before":1,"exp":2}},"keys":{"k":1}}`
	for name, test := range map[string]struct{ from, to, want string }{
		"good":                   {"", "", ""},
		"no JSON":                {"{", "", "not those of a feed"},
		"another issuer":         {"https://a.example", "https://b.example", "another issuer"},
		"as of later":            {`"as_of":1893499200`, `"as_of":1893499201`, "times"},
		"as of never":            {`"as_of":1893499200`, `"as_of":0`, "times"},
		"since before 1970":      {`"since":0`, `"since":-1`, "times"},
		"in the future":          {`"iat":1893499200`, `"iat":1893499501`, "future"},
		"a token by its name":    {`"tokens":{"AA`, `"tokens":{"`, "digest"},
		"a client by its name":   {`"clients":{"AA`, `"clients":{"`, "digest"},
		"a digest of many bits":  {`"tokens":{"AA`, `"tokens":{"AAAA`, "digest"},
		"a kid that is a book":   {`"k":1`, `"` + strings.Repeat("k", 1025) + `":1`, "kid"},
		"a token without a time": {`1893499260`, `"x"`, "not those of a feed"},
	} {
		_, err := ParseFeed([]byte(strings.Replace(good, test.from, test.to, 1)), "https://a.example", noon)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseFeed(f *testing.F) {
	f.Add([]byte(`{"iss":"","iat":1893499200,"as_of":1893499200,"tokens":{"AAAAAAAAAAAAAAAAAAAAAA":1}}`))
	f.Fuzz(func(t *testing.T, claims []byte) {
		feed, err := ParseFeed(claims, "", noon)
		if err != nil {
			return
		}
		c := NewCopy()
		c.now = func() time.Time { return noon }
		if err := c.Take(feed, time.Unix(feed.Since, 0)); err != nil {
			t.Fatal(err)
		}
		c.Revoked("A", "bot", noon)
	})
}

// BenchmarkCopyRevoked: a lookup costs the same, however many there are.
func BenchmarkCopyRevoked(b *testing.B) {
	for _, size := range []int{0, 1, 100_000} {
		f := &Feed{AsOf: noon.Unix(), Tokens: make(map[string]int64)}
		for n := range size {
			f.Tokens[digest(floodID(n))] = noon.Add(time.Hour).Unix()
		}
		c := NewCopy()
		c.now = func() time.Time { return noon }
		if err := c.Take(f, time.Time{}); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				if c.Revoked("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "bot", noon) {
					b.Fatal("revoked")
				}
			}
		})
	}
}
