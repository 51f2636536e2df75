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
	return verified.Source == Remembered
}

// TestOnlyWhatIsLetInIsRemembered: neither what Verify refuses, nor what its caller refuses after it.
func TestOnlyWhatIsLetInIsRemembered(t *testing.T) {
	keys := NewKeySet(testKey(t, EdDSA))
	now := testNow
	expect := testExpect()
	expect.Now = func() time.Time { return now }
	v := newVerifier(expect)
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
	if n := used(v).Verified; n != 0 {
		t.Errorf("%d tokens are remembered, of which none was let in", n)
	}
	raw := numbered(t, "ci-bot", 0, nil)
	letIn(t, v, raw, keys)
	now = now.Add(time.Hour)
	_, err := v.Verify(raw, fixedKeys(keys))
	wantReason(t, err, Expired)
	if use := used(v); use != (MemoryUse{}) {
		t.Errorf("an expired token is still remembered: %+v", use)
	}
}

// used is how much of the memory of a Verifier's first issuer is used.
func used(v *Verifier) MemoryUse { return v.trusted[0].Memory.Use() }

// verifierWithin returns a Verifier whose memory has bytes for tokens that were verified.
func verifierWithin(bytes int) *Verifier {
	return NewVerifier(Trust{testExpect(), NewMemory(bytes * mintedPart / (mintedPart - 1))})
}

// TestVerifierIsBoundedInBytes: tokens of 8 KiB take no more than the bound, and the last ones are there.
func TestVerifierIsBoundedInBytes(t *testing.T) {
	keys := NewKeySet(testKey(t, EdDSA))
	const bound = 2 << 20
	v := verifierWithin(bound)
	large := map[string]any{"note": strings.Repeat("x", 5700)}
	for n := range 600 {
		raw := numbered(t, fmt.Sprint("client-", n%50), n, large)
		if len(raw) < 8000 || len(raw) > MaxTokenSize {
			t.Fatalf("a token has %d bytes", len(raw))
		}
		letIn(t, v, raw, keys)
		if use := used(v); use.Bytes > bound {
			t.Fatalf("%d tokens take %d bytes", use.Verified, use.Bytes)
		}
	}
	if use := used(v); use.Bytes < bound/2 {
		t.Errorf("%d bytes are used, of %d", use.Bytes, bound)
	}
	if !remembers(t, v, numbered(t, "client-49", 599, large), keys) || remembers(t, v, numbered(t, "client-0", 0, large), keys) {
		t.Error("it is not the most recent tokens that are remembered")
	}
	list := numbered(t, "client-0", 1000, map[string]any{"list": strings.Split(strings.Repeat("0", 1400), "")})
	letIn(t, v, list, keys)
	if remembers(t, v, list, keys) {
		t.Error("a token is remembered that takes more than its part of the bound")
	}
}

// TestOneClientPushesNoOtherOut: beyond its share, a client pushes out only its own tokens.
func TestOneClientPushesNoOtherOut(t *testing.T) {
	keys := NewKeySet(testKey(t, EdDSA))
	v := verifierWithin(512 << 10)
	tokens := 0
	for bytes := 0; bytes < 500<<10; bytes = used(v).Bytes {
		letIn(t, v, numbered(t, fmt.Sprint("client-", tokens), tokens, nil), keys)
		tokens++
	}
	for n := range 1000 {
		letIn(t, v, numbered(t, "greedy", n, nil), keys)
	}
	kept := 0
	for n := range tokens {
		if remembers(t, v, numbered(t, fmt.Sprint("client-", n), n, nil), keys) {
			kept++
		}
	}
	if least := tokens * 6 / 8; kept < least {
		t.Errorf("%d of %d tokens of others are left, want at least %d", kept, tokens, least)
	}
	if !remembers(t, v, numbered(t, "greedy", 999, nil), keys) {
		t.Error("its own last token is not remembered")
	}
}

// TestMinted: a token that was signed here needs no check of its signature at its first use, and is remembered like all others
// from its second use on. Whether its key is in use, and whether its claims can be read, is checked all the same.
func TestMinted(t *testing.T) {
	key := testKey(t, ES256)
	keys, memory := NewKeySet(key), NewMemory(testBytes)
	v := NewVerifier(Trust{testExpect(), memory})
	raw, unread := signed(t, key, testMint()), signedClaims(t, key, `{"a":1,"a":2}`)
	other := signedHeader(t, key, `{"alg":"ES256","kid":"`+key.ID()+`","typ":"at+jwt","x":1}`)
	for _, raw := range []string{raw, raw, unread, other} {
		memory.Minted(raw, key, "ci-bot")
	}
	if use := memory.Use(); use.Minted != 2 || use.Verified != 0 { // other has another header
		t.Errorf("%+v", use)
	}
	_, err := v.Verify(unread, fixedKeys(keys))
	wantReason(t, err, Malformed)
	for _, gone := range []*KeySet{nil, NewKeySet(testKey(t, EdDSA)), NewKeySet(otherKey(t))} {
		_, err := v.Verify(raw, fixedKeys(gone))
		wantReason(t, err, UnknownKey)
	}
	fresh := signed(t, key, testMint())
	memory.Minted(fresh, key, "ci-bot")
	for n, want := range []Source{Minted, Minted, Remembered, Remembered} {
		verified, err := v.Verify(fresh, fixedKeys(NewKeySet(key)))
		if err != nil || verified.Source != want || verified.ClientID != "ci-bot" || verified.KeyID() != key.ID() {
			t.Fatalf("%+v, %v, want %s", verified, err, want)
		}
		v.Remember(verified)
		if use := memory.Use(); n == 0 && use.Verified > 0 {
			t.Errorf("after one use: %+v", use)
		}
	}
	if use := memory.Use(); use.Minted != 2 || use.Verified != 1 {
		t.Errorf("%+v", use)
	}
}

// TestMintedTokenStaysBound: what a memory knows of a token that was signed here includes the keys that it is bound to, and
// spares no verifier the decision whether it takes such tokens.
func TestMintedTokenStaysBound(t *testing.T) {
	key := testKey(t, ES256)
	keys, memory, m := NewKeySet(key), NewMemory(testBytes), testMint()
	m.Confirmation = Confirmation{JKT: thumbprintA, X5TS256: thumbprintB}
	bound, plain := testExpect(), testExpect()
	bound.Bound = true
	takes, refuses := NewVerifier(Trust{bound, memory}), NewVerifier(Trust{plain, memory})
	raw := signed(t, key, m)
	memory.Minted(raw, key, "ci-bot")
	for range 4 {
		_, err := refuses.Verify(raw, fixedKeys(keys))
		wantReason(t, err, SenderConstrained)
		verified, err := takes.Verify(raw, fixedKeys(keys))
		if err != nil || verified.Confirmation() != m.Confirmation {
			t.Fatalf("%v, %v", verified.Claims, err)
		}
		takes.Remember(verified)
	}
	if !remembers(t, takes, raw, keys) {
		t.Error("a bound token is not remembered")
	}
}

// TestMintedTokensPushNoVerifiedOut: neither tokens that no door sees, nor a client that gets many, push out others.
func TestMintedTokensPushNoVerifiedOut(t *testing.T) {
	key := testKey(t, EdDSA)
	keys, memory := NewKeySet(key), NewMemory(1<<20)
	v := NewVerifier(Trust{testExpect(), memory})
	verified := 0
	for ; memory.Use().Bytes < 700<<10; verified++ {
		letIn(t, v, numbered(t, fmt.Sprint("client-", verified), verified, nil), keys)
	}
	others := make([]string, 200)
	for n := range others {
		others[n] = numbered(t, fmt.Sprint("new-", n), n, nil)
		memory.Minted(others[n], key, fmt.Sprint("new-", n))
	}
	for n := range 5000 {
		memory.Minted(fmt.Sprint(key.header, "e30.", n), key, "greedy")
	}
	use := memory.Use()
	if use.Verified != verified || use.Minted < 500 || use.Bytes > 1<<20 {
		t.Errorf("of %d tokens that were verified: %+v", verified, use)
	}
	kept := 0
	for _, raw := range others {
		if _, source, _ := memory.find(hashOf(raw)); source == Minted {
			kept++
		}
	}
	if kept < len(others)*3/4 {
		t.Errorf("%d of %d tokens of others are left", kept, len(others))
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
			v := verifierWithin(1 << 30)
			for _, raw := range raws {
				letIn(t, v, raw, keys)
			}
			took, counted := heapInUse()-before, int64(used(v).Bytes)
			t.Logf("a token of %d bytes takes %d, counted as %d", len(raws[0]), took/int64(len(raws)), counted/int64(len(raws)))
			if n := used(v).Verified; n != len(raws) {
				t.Fatalf("%d are remembered", n)
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
	v := verifierWithin(256 << 10)
	raws := make([]string, 200)
	for n := range raws {
		raws[n] = numbered(t, fmt.Sprint("client-", n%7), n, nil)
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
}

// TestMemoryKeepsNoKeySet: a key set that was replaced is not kept for the tokens that it verified.
func TestMemoryKeepsNoKeySet(t *testing.T) {
	v := newVerifier(testExpect())
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
