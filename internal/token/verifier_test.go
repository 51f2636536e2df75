package token

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func fixedKeys(keys *KeySet) KeysFor {
	return func(string, string) (*KeySet, error) { return keys, nil }
}

func TestVerifierRemembers(t *testing.T) {
	key := testKey(t, ES256)
	keys := NewKeySet(key)
	v := NewVerifier(10, testExpect())
	raw := signed(t, key, testMint())
	first, err := v.Verify(raw, fixedKeys(keys))
	if err != nil {
		t.Fatal(err)
	}
	again, err := v.Verify(raw, fixedKeys(keys))
	if err != nil || again != first {
		t.Errorf("the second time: %v, %v", again, err)
	}
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
		v := NewVerifier(10, expect)
		if _, err := v.Verify(raw, fixedKeys(keys)); err != nil {
			t.Fatal(err)
		}
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
				_, err := v.Verify(test.raw, test.keys)
				if test.err != nil && !errors.Is(err, test.err) || test.err == nil && ErrorReason(err) != test.reason {
					t.Errorf("error %v, want %s%v", err, test.reason, test.err)
				}
			}
		})
	}
}

func TestVerifierIsBounded(t *testing.T) {
	key := testKey(t, EdDSA)
	keys := NewKeySet(key)
	v := NewVerifier(3, testExpect())
	for n := range 10 {
		m := testMint()
		m.ID = fmt.Sprint("JTI", n)
		if _, err := v.Verify(signed(t, key, m), fixedKeys(keys)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 10 { // strangers' tokens are not remembered
		m := testMint()
		m.Issuer = fmt.Sprint("https://", n, ".example.com")
		if _, err := v.Verify(signed(t, key, m), fixedKeys(keys)); ErrorReason(err) != WrongIssuer {
			t.Fatal(err)
		}
	}
	if n := v.passed.Len(); n != 3 {
		t.Errorf("%d tokens are remembered, want 3", n)
	}
}

func TestVerifierConcurrently(t *testing.T) {
	key := testKey(t, EdDSA)
	keys := NewKeySet(key)
	v := NewVerifier(2, testExpect())
	var raws []string
	for n := range 5 {
		m := testMint()
		m.ID = fmt.Sprint("JTI", n)
		raws = append(raws, signed(t, key, m))
	}
	var group sync.WaitGroup
	for n := range 20 {
		group.Go(func() {
			for i := range 50 {
				claims, err := v.Verify(raws[(n+i)%5], fixedKeys(keys))
				if err != nil || claims.ID != fmt.Sprint("JTI", (n+i)%5) {
					t.Errorf("claims %v, error %v", claims, err)
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkVerifier(b *testing.B) {
	key := testKey(b, ES256)
	keys := fixedKeys(NewKeySet(key))
	raw := signed(b, key, testMint())
	v := NewVerifier(10, testExpect())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(raw, keys); err != nil {
			b.Fatal(err)
		}
	}
}
