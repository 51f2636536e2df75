package token

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// numbered is a token of a client that differs from the others by its jti.
func numbered(tb testing.TB, client string, n int, changes map[string]any) string {
	tb.Helper()
	all := map[string]any{"client_id": client, "sub": client, "jti": fmt.Sprintf("JTI-%06d", n)}
	for name, value := range changes {
		all[name] = value
	}
	return signedClaims(tb, testKey(tb, EdDSA), testClaims(tb, all))
}

// remembers reports whether the next Verify of a token needs no check of its signature.
func remembers(tb testing.TB, v *Verifier, raw string, keys *KeySet) bool {
	tb.Helper()
	verified, err := v.Verify(raw, fixedKeys(keys))
	if err != nil {
		tb.Fatal(err)
	}
	return verified.known
}

// TestOnlyWhatIsLetInIsRemembered: neither what Verify refuses, nor what its caller refuses after it.
func TestOnlyWhatIsLetInIsRemembered(t *testing.T) {
	keys := NewKeySet(testKey(t, EdDSA))
	now := testNow
	expect := testExpect()
	expect.Now = func() time.Time { return now }
	v := NewVerifier(100, testBytes, expect)
	for n, test := range []struct {
		changes map[string]any
		reason  Reason
	}{
		{nil, ""},
		{map[string]any{"aud": "https://else.example.com"}, WrongAudience},
		{map[string]any{"exp": testNow.Unix() - 60}, Expired},
		{map[string]any{"iss": "https://login.example.org"}, WrongIssuer},
		{map[string]any{"nbf": testNow.Unix() + 600}, NotYetValid},
	} {
		verified, err := v.Verify(numbered(t, "ci-bot", n, test.changes), fixedKeys(keys))
		wantReason(t, err, test.reason)
		if err != nil {
			v.Remember(verified) // by mistake
		}
	}
	if n := len(v.memory.known); n != 0 {
		t.Errorf("%d tokens are remembered, of which none was let in", n)
	}
	raw := numbered(t, "ci-bot", 0, nil)
	letIn(t, v, raw, keys)
	now = now.Add(time.Hour)
	_, err := v.Verify(raw, fixedKeys(keys))
	wantReason(t, err, Expired)
	if n := len(v.memory.known) + v.memory.recent.Len() + v.memory.size + len(v.memory.holders); n != 0 {
		t.Error("an expired token is still remembered")
	}
}

func TestVerifierIsBounded(t *testing.T) {
	keys := NewKeySet(testKey(t, EdDSA))
	v := NewVerifier(3, testBytes, testExpect())
	for n := range 10 {
		letIn(t, v, numbered(t, fmt.Sprint("client-", n), n, nil), keys)
	}
	checkMemory(t, v)
	for n := range 10 {
		if got := remembers(t, v, numbered(t, fmt.Sprint("client-", n), n, nil), keys); got != (n >= 7) {
			t.Errorf("the %dth token is remembered: %v", n, got)
		}
	}
}

// TestVerifierIsBoundedInBytes: tokens of 8 KiB take no more than the bound, and the last ones are there.
func TestVerifierIsBoundedInBytes(t *testing.T) {
	keys := NewKeySet(testKey(t, EdDSA))
	const bound = 2 << 20
	v := NewVerifier(4096, bound, testExpect())
	large := map[string]any{"note": strings.Repeat("x", 5700)}
	for n := range 600 {
		raw := numbered(t, fmt.Sprint("client-", n%50), n, large)
		if len(raw) < 8000 || len(raw) > MaxTokenSize {
			t.Fatalf("a token has %d bytes", len(raw))
		}
		letIn(t, v, raw, keys)
		checkMemory(t, v)
	}
	if size := v.memory.size; size < bound/2 {
		t.Errorf("%d bytes are used, of %d", size, bound)
	}
	if !remembers(t, v, numbered(t, "client-49", 599, large), keys) || remembers(t, v, numbered(t, "client-0", 0, large), keys) {
		t.Error("it is not the most recent tokens that are remembered")
	}
	letIn(t, v, numbered(t, "client-0", 1000, map[string]any{"list": strings.Split(strings.Repeat("0", 1400), "")}), keys)
	checkMemory(t, v)
	if remembers(t, v, numbered(t, "client-0", 1000, map[string]any{"list": strings.Split(strings.Repeat("0", 1400), "")}), keys) {
		t.Error("a token is remembered that takes more than its part of the bound")
	}
}

// TestOneClientPushesNoOtherOut: beyond its share, a client pushes out only its own tokens.
func TestOneClientPushesNoOtherOut(t *testing.T) {
	keys := NewKeySet(testKey(t, EdDSA))
	const tokens = 80
	v := NewVerifier(tokens, 1<<30, testExpect())
	for n := range tokens {
		letIn(t, v, numbered(t, fmt.Sprint("client-", n), n, nil), keys)
	}
	for n := range 1000 {
		letIn(t, v, numbered(t, "greedy", n, nil), keys)
	}
	checkMemory(t, v)
	kept := 0
	for n := range tokens {
		if remembers(t, v, numbered(t, fmt.Sprint("client-", n), n, nil), keys) {
			kept++
		}
	}
	if want := tokens - tokens/clientShare; kept != want {
		t.Errorf("%d tokens of others are left, want %d", kept, want)
	}
	if !remembers(t, v, numbered(t, "greedy", 999, nil), keys) {
		t.Error("its own last token is not remembered")
	}
}

// checkMemory counts again what a Verifier counts, and holds it against the bounds.
func checkMemory(t *testing.T, v *Verifier) {
	t.Helper()
	m := v.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	size, held, heldSize := 0, 0, 0
	for _, r := range m.known {
		size += r.size
	}
	for _, own := range m.holders {
		held += own.recent.Len()
		heldSize += own.size
	}
	if size != m.size || heldSize != size || held != len(m.known) || m.recent.Len() != held {
		t.Fatalf("%d bytes of %d tokens are counted as %d of %d, and by client as %d of %d", size, len(m.known), m.size, m.recent.Len(), heldSize, held)
	}
	if size > m.bytes || held > m.tokens {
		t.Fatalf("%d tokens take %d bytes", held, size)
	}
}

// tokenShapes are claims that take much memory for their length, beside usual ones.
var tokenShapes = map[string]struct {
	count   int
	changes map[string]any
}{
	"usual":             {2000, nil},
	"one long text":     {1000, map[string]any{"note": strings.Repeat("x", 5600)}},
	"many scopes":       {400, map[string]any{"scope": strings.TrimSpace(strings.Repeat("book:1:read ", 450))}},
	"shortest scopes":   {100, map[string]any{"scope": strings.TrimSpace(strings.Repeat("b ", 2700))}},
	"zeros":             {200, map[string]any{"list": make([]int, 2700)}},
	"texts":             {200, map[string]any{"list": strings.Split(strings.Repeat("abc", 400), "b")}},
	"empty objects":     {60, map[string]any{"list": make([]struct{}, 1800)}},
	"objects of one":    {60, map[string]any{"list": repeated(map[string]any{"a": true}, 500)}},
	"objects of nine":   {200, map[string]any{"list": repeated(members(9), 45)}},
	"one large object":  {200, map[string]any{"object": members(450)}},
	"arrays in arrays":  {100, map[string]any{"list": repeated([]any{[]any{[]any{}}}, 700)}},
	"audiences":         {400, map[string]any{"aud": append(strings.Split(strings.Repeat("a ", 1000)+"a", " "), testAudience)}},
	"just over a power": {200, map[string]any{"object": members(15), "list": make([]int, 1025)}},
}

func repeated(value any, n int) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = value
	}
	return list
}

func members(n int) map[string]any {
	object := make(map[string]any)
	for i := range n {
		object[fmt.Sprintf("m%03d", i)] = true
	}
	return object
}

// TestSizeOfRememberedTokens: the count is at least the growth of the heap, with a tenth for its other uses,
// and at most three times that growth.
func TestSizeOfRememberedTokens(t *testing.T) {
	keys := NewKeySet(testKey(t, EdDSA))
	for name, shape := range tokenShapes {
		t.Run(name, func(t *testing.T) {
			raws := make([]string, shape.count)
			for n := range raws {
				raws[n] = numbered(t, fmt.Sprint("client-", n), n, shape.changes)
			}
			if len(raws[0]) > MaxTokenSize {
				t.Fatalf("the token has %d bytes", len(raws[0]))
			}
			before := heapInUse()
			v := NewVerifier(1<<20, 1<<30, testExpect())
			for _, raw := range raws {
				letIn(t, v, raw, keys)
			}
			took, counted := heapInUse()-before, int64(v.memory.size)
			t.Logf("a token of %d bytes takes %d, counted as %d", len(raws[0]), took/int64(len(raws)), counted/int64(len(raws)))
			if len(v.memory.known) != len(raws) {
				t.Fatalf("%d are remembered", len(v.memory.known))
			}
			if took > counted*11/10 || counted > 3*took {
				t.Errorf("%d bytes are counted as %d", took, counted)
			}
			runtime.KeepAlive(raws)
		})
	}
}

// heapInUse is the heap without its garbage. Finalizers and weak pointers need more than one round.
func heapInUse() int64 {
	var stats runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestVerifierConcurrently is for the race detector, too.
func TestVerifierConcurrently(t *testing.T) {
	keys := NewKeySet(testKey(t, EdDSA))
	v := NewVerifier(2, testBytes, testExpect())
	raws := make([]string, 5)
	for n := range raws {
		raws[n] = numbered(t, fmt.Sprint("client-", n%2), n, nil)
	}
	var group sync.WaitGroup
	for n := range 20 {
		group.Go(func() {
			for i := range 50 {
				at := (n + i) % len(raws)
				verified, err := v.Verify(raws[at], fixedKeys(keys))
				if err != nil || verified.ID != fmt.Sprintf("JTI-%06d", at) {
					t.Errorf("claims %v, error %v", verified.Claims, err)
					continue
				}
				switch i % 3 {
				case 0, 1:
					v.Remember(verified)
				default:
					v.Forget(verified)
				}
			}
		})
	}
	group.Wait()
	checkMemory(t, v)
}

// TestMemoryKeepsNoKeySet: a key set that was replaced is not kept for the tokens that it verified.
func TestMemoryKeepsNoKeySet(t *testing.T) {
	v := NewVerifier(10, testBytes, testExpect())
	gone := make(chan struct{})
	raw := numbered(t, "ci-bot", 1, nil)
	func() {
		keys := NewKeySet(testKey(t, EdDSA))
		runtime.AddCleanup(keys, func(done chan struct{}) { close(done) }, gone)
		letIn(t, v, raw, keys)
	}()
	for range 10 {
		runtime.GC()
		select {
		case <-gone:
			letIn(t, v, raw, NewKeySet(testKey(t, EdDSA)))
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Error("the key set is kept")
}
