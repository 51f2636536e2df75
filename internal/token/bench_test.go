package token

import (
	"testing"
	"time"
)

func BenchmarkSign(b *testing.B) {
	for _, alg := range signingAlgs {
		b.Run(string(alg), func(b *testing.B) {
			key := testKey(b, alg)
			claims := claimsOf(b, testMint())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := key.Sign(claims); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range signingAlgs {
		b.Run(string(alg), func(b *testing.B) {
			key := testKey(b, alg)
			raw, keys, expect := signed(b, key, testMint()), NewKeySet(key), testExpect()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Verify(raw, keys, expect); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSignatureCheck is the part of Verify that cannot be saved.
func BenchmarkSignatureCheck(b *testing.B) {
	for _, alg := range signingAlgs {
		b.Run(string(alg), func(b *testing.B) {
			key := testKey(b, alg)
			input := []byte("header.payload")
			sig, err := key.sign(input)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := key.public.check(alg, input, sig); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkKeyID(b *testing.B) {
	raw := signed(b, testKey(b, ES256), testMint())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := KeyID(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMint(b *testing.B) {
	plain, extended := testMint(), testMint()
	extended.Extra = map[string]any{"team": "catalogue", "tier": map[string]any{"level": 3.0}}
	for name, m := range map[string]Mint{"plain": plain, "extra": extended} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Claims(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefuse is what a token costs that is refused at the gate.
func BenchmarkRefuse(b *testing.B) {
	raw := signed(b, testKey(b, ES256), testMint())
	expect := testExpect()
	expect.Now = func() time.Time { return testNow.Add(time.Hour) }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(raw, nil, expect); err == nil {
			b.Fatal("accepted")
		}
	}
}
