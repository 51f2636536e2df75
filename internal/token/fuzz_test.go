package token

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzVerify: nothing but the genuine token is taken, whatever is put before the gate.
func FuzzVerify(f *testing.F) {
	key := fuzzKey(f)
	genuine := signed(f, key, testMint())
	parts := strings.Split(genuine, ".")
	f.Add(genuine)
	f.Add(genuine + ".")
	f.Add(parts[0] + "." + parts[1] + ".")
	f.Add(encodeBase64([]byte(`{"alg":"none","typ":"at+jwt","kid":"a"}`)) + "." + parts[1] + ".AA")
	f.Add(encodeBase64([]byte(`{"alg":"ES256","crit":["b64"],"b64":false,"kid":"a"}`)) + "." + parts[1] + "." + parts[2])
	f.Add(strings.Repeat("A", MaxTokenSize-4) + ".A.A")
	keys, expect := NewKeySet(key), testExpect()
	f.Fuzz(func(t *testing.T, raw string) {
		_, err := Verify(raw, keys, expect)
		if (err == nil) != (raw == genuine) {
			t.Fatalf("%q: %v", raw, err)
		}
		if err != nil && ErrorReason(err) == "" {
			t.Fatalf("no reason: %v", err)
		}
	})
}

// FuzzPayload signs whatever comes, so that the claims are read.
func FuzzPayload(f *testing.F) {
	key := fuzzKey(f)
	f.Add(claimsOf(f, testMint()))
	f.Add([]byte(`{"iss":"https://auth.example.com","aud":["a",1],"exp":1e9,"sub":"\u0000","a":[[[{"b":null}]]]}`))
	f.Add([]byte(`{"exp":1,"exp":2}`))
	keys, expect := NewKeySet(key), testExpect()
	f.Fuzz(func(t *testing.T, claims []byte) {
		raw, err := key.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Verify(raw, keys, expect)
		if err != nil {
			if ErrorReason(err) == "" || strings.ContainsAny(err.Error(), "\"\\\n\r") {
				t.Fatalf("error %q", err)
			}
			return
		}
		if c.Issuer != testIssuer || c.ID == "" || c.Subject == "" || c.ClientID == "" || !c.Expires.After(testNow) {
			t.Fatalf("accepted %s", claims)
		}
	})
}

// FuzzKeyID: a token whose header can be read has a kid that is not too long.
func FuzzKeyID(f *testing.F) {
	f.Add([]byte(`{"alg":"ES256","kid":"a","typ":"at+jwt"}`))
	f.Add([]byte(`{"alg":"ES256","kid":"a","k\u0069d":"b"}`))
	f.Add([]byte(`{"jwk":{"kty":"EC"},"alg":"none","kid":""}`))
	f.Fuzz(func(t *testing.T, header []byte) {
		kid, err := KeyID(encodeBase64(header) + ".e30.AA")
		if err == nil && (kid == "" || len(kid) > MaxKeyIDSize) {
			t.Fatalf("%q: %q", header, kid)
		}
		if err != nil && ErrorReason(err) == "" {
			t.Fatalf("no reason: %v", err)
		}
		_, _ = KeyID(string(header))
	})
}

// FuzzIssuer: the issuer by which a token is chosen is the one that Verify finds in it, and no other token passes.
func FuzzIssuer(f *testing.F) {
	key := fuzzKey(f)
	f.Add(claimsOf(f, testMint()), "")
	f.Add([]byte(`{"iss":"https://auth.example.com","iss":"https://other.example.com"}`), "")
	f.Add([]byte(`{"iss":["https://auth.example.com"],"\u0069ss":1}`), "x")
	f.Add([]byte("{\"iss\":\"\xff\"}"), "a.b.c")
	keys := NewKeySet(key)
	f.Fuzz(func(t *testing.T, claims []byte, text string) {
		_, _ = issuerOf(text)
		raw, err := key.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		chosen, err := issuerOf(raw)
		if err != nil && ErrorReason(err) == "" {
			t.Fatalf("no reason: %v", err)
		}
		expect := testExpect()
		expect.Issuer = chosen
		expect.AllowMissing = optional
		c, verr := Verify(raw, keys, expect)
		if verr == nil && (err != nil || c.Issuer != chosen || c.All["iss"] != chosen) {
			t.Fatalf("chose %q (%v), verified %+v", chosen, err, c)
		}
		if err == nil && ErrorReason(verr) == WrongIssuer {
			t.Fatalf("chose %q, which Verify does not find: %v", chosen, verr)
		}
	})
}

func issuerOf(raw string) (string, error) {
	c, err := openCompact(raw, MaxTokenSize, headerRules{}, nil)
	if err != nil {
		return "", err
	}
	return c.issuer()
}

// FuzzParseKeySet: what is taken can be published again, and is read the same.
func FuzzParseKeySet(f *testing.F) {
	rsa := `{"kty":"RSA","kid":"r","n":"` + rsaModulus(2048) + `","e":"AQAB"}`
	f.Add(NewKeySet(fuzzKey(f)).JWKS())
	f.Add([]byte(`{"keys":[` + rsa + `,{"kty":"oct","k":"AA","kid":"o"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"e","x":"AA","y":"AA"},{"kid":1},null]}`))
	f.Add([]byte(`{"keys":[` + rsa + `,` + rsa + `,` + strings.Replace(rsa, `"kid":"r",`, "", 1) + `]}`))
	f.Fuzz(func(t *testing.T, jwks []byte) {
		set, _, err := ParseKeySet(jwks)
		if err != nil {
			return
		}
		again, skipped, err := ParseKeySet(set.JWKS())
		if err != nil || len(skipped) > 0 || !bytes.Equal(again.JWKS(), set.JWKS()) {
			t.Fatalf("%s\nbecame %s: %v, %v", jwks, set.JWKS(), skipped, err)
		}
		if bytes.Contains(set.JWKS(), []byte(`"d":`)) {
			t.Fatalf("published %s", set.JWKS())
		}
	})
}

// FuzzParseSigningKey: what is taken is stored again as it was, and signs what it can verify.
func FuzzParseSigningKey(f *testing.F) {
	for _, alg := range []Alg{ES256, EdDSA} {
		f.Add(marshalPrivate(f, testKey(f, alg)))
	}
	f.Add([]byte(`{"kty":"EC","crv":"P-256","alg":"ES256","d":"AA"}`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		key, err := ParseSigningKey(stored)
		if err != nil {
			return
		}
		again, err := ParseSigningKey(marshalPrivate(t, key))
		if err != nil || again.ID() != key.ID() {
			t.Fatalf("%s: %v", stored, err)
		}
		if _, err := Verify(signed(t, key, testMint()), NewKeySet(again), testExpect()); err != nil {
			t.Fatal(err)
		}
	})
}

// fuzzKey is the same in every process of a fuzz run: its workers must agree on what is genuine.
// Ed25519 signatures have no randomness either. The key is that of RFC 8037 A.1.
func fuzzKey(f *testing.F) *SigningKey {
	f.Helper()
	key, err := ParseSigningKey([]byte(`{"kty":"OKP","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","alg":"EdDSA","use":"sig",` +
		`"crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`))
	if err != nil {
		f.Fatal(err)
	}
	return key
}
