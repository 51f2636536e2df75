package token

import (
	"errors"
	"testing"
	"time"
)

func fixedKeys(keys *KeySet) KeysFor {
	return func(string, string) (*KeySet, error) { return keys, nil }
}

func TestVerifierRemembers(t *testing.T) {
	key := testKey(t, ES256)
	keys := NewKeySet(key)
	v := newVerifier(testExpect())
	raw := signed(t, key, testMint())
	first := letIn(t, v, raw, keys)
	again, err := v.Verify(raw, fixedKeys(keys))
	if err != nil || again.Claims != first.Claims {
		t.Errorf("the second time: %v, %v", again, err)
	}
	v.Remember(again)
	v.Forget(again)
	if again, err = v.Verify(raw, fixedKeys(keys)); err != nil || again.Claims == first.Claims {
		t.Errorf("after Forget: %v, %v", again, err)
	}
}

// letIn verifies a token and has it remembered, as a door does that lets it in.
func letIn(tb testing.TB, v *Verifier, raw string, keys *KeySet) Verified {
	tb.Helper()
	verified, err := v.Verify(raw, fixedKeys(keys))
	if err != nil {
		tb.Fatal(err)
	}
	v.Remember(verified)
	return verified
}

// TestVerifierForgets: what was remembered holds for the keys, the times and the very text it was
// verified with.
func TestVerifierForgets(t *testing.T) {
	key := testKey(t, ES256)
	keys := NewKeySet(key)
	now := testNow
	expect := testExpect()
	expect.Now = func() time.Time { return now }
	raw := signed(t, key, testMint())
	known := func() *Verifier {
		now = testNow
		v := newVerifier(expect)
		letIn(t, v, raw, keys)
		return v
	}
	fault := errors.New("no keys")
	for name, test := range map[string]struct {
		at     time.Duration
		raw    string
		keys   KeysFor
		reason Reason
		err    error
	}{
		"still valid":         {at: time.Minute, keys: fixedKeys(keys)},
		"expired":             {at: time.Hour, keys: fixedKeys(keys), reason: Expired},
		"not yet valid":       {at: -time.Hour, keys: fixedKeys(keys), reason: NotYetValid},
		"the key is gone":     {keys: fixedKeys(NewKeySet(testKey(t, EdDSA))), reason: UnknownKey},
		"no keys at all":      {keys: fixedKeys(nil), reason: UnknownKey},
		"the same key again":  {keys: fixedKeys(NewKeySet(key))},
		"keys cannot be had":  {keys: func(string, string) (*KeySet, error) { return nil, fault }, err: fault},
		"another text":        {raw: raw + "A", keys: fixedKeys(keys), reason: BadSignature},
		"without a signature": {raw: raw[:len(raw)-86], keys: fixedKeys(keys), reason: Malformed},
		"too large":           {raw: raw + string(make([]byte, MaxTokenSize)), keys: fixedKeys(keys), reason: Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			v := known()
			now = now.Add(test.at)
			if test.raw == "" {
				test.raw = raw
			}
			for range 2 {
				verified, err := v.Verify(test.raw, test.keys)
				v.Remember(verified)
				if test.err != nil && !errors.Is(err, test.err) || test.err == nil && ErrorReason(err) != test.reason {
					t.Errorf("error %v, want %s%v", err, test.reason, test.err)
				}
			}
		})
	}
}

func BenchmarkVerifier(b *testing.B) {
	key := testKey(b, ES256)
	set := NewKeySet(key)
	keys := fixedKeys(set)
	raw := signed(b, key, testMint())
	v := newVerifier(testExpect())
	letIn(b, v, raw, set)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(raw, keys); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifierMinted is the first use of a token that was signed here.
func BenchmarkVerifierMinted(b *testing.B) {
	key := testKey(b, ES256)
	set := NewKeySet(key)
	keys := fixedKeys(set)
	raw := signed(b, key, testMint())
	memory := NewMemory(testBytes)
	memory.Minted(raw, key, "ci-bot")
	v := NewVerifier(Trust{testExpect(), memory})
	b.ReportAllocs()
	for b.Loop() {
		if t, err := v.Verify(raw, keys); err != nil || t.Source != Minted {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifierMissed is the first use of a token from elsewhere, with its signature check.
func BenchmarkVerifierMissed(b *testing.B) {
	key := testKey(b, ES256)
	set := NewKeySet(key)
	keys := fixedKeys(set)
	raw := signed(b, key, testMint())
	v := NewVerifier(Trust{Expect: testExpect()})
	b.ReportAllocs()
	for b.Loop() {
		if t, err := v.Verify(raw, keys); err != nil || t.Source != Missed {
			b.Fatal(err)
		}
	}
}

// TestRememberedTokenAllocatesNothing: the path of a token that is used again runs for most requests.
func TestRememberedTokenAllocatesNothing(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	key := testKey(t, ES256)
	set := NewKeySet(key)
	keys, raw, v := fixedKeys(set), signed(t, key, testMint()), newVerifier(testExpect())
	letIn(t, v, raw, set)
	if n := testing.AllocsPerRun(100, func() { _, _ = v.Verify(raw, keys) }); n > 0 {
		t.Errorf("it allocates %g times", n)
	}
}
