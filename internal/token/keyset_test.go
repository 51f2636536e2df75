package token

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func TestKeySetJWKS(t *testing.T) {
	es, rs, ed := testKey(t, ES256), testKey(t, RS256), testKey(t, EdDSA)
	set := NewKeySet(es, rs, nil, ed, es)
	jwks := set.JWKS()
	if set.Len() != 3 || !bytes.Equal(jwks, NewKeySet(ed, es, rs).JWKS()) {
		t.Errorf("%d keys, or their order matters: %s", set.Len(), jwks)
	}
	var document struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &document); err != nil {
		t.Fatal(err)
	}
	members := map[string]string{"EC": "kty kid alg use crv x y", "RSA": "kty kid alg use n e", "OKP": "kty kid alg use crv x"}
	for _, key := range document.Keys {
		names := strings.Fields(members[key["kty"]])
		for _, name := range names {
			if key[name] == "" {
				t.Errorf("no %s in %v", name, key)
			}
		}
		if len(key) != len(names) || key["use"] != "sig" || !set.Has(key["kid"]) {
			t.Errorf("key %v", key)
		}
	}
	jwks[0] = 'x'
	if set.JWKS()[0] != '{' {
		t.Error("the set can be changed")
	}
}

func TestKeySetEmpty(t *testing.T) {
	for name, set := range map[string]*KeySet{"nil": nil, "zero": {}, "new": NewKeySet()} {
		if set.Len() != 0 || set.Has("") || set.Has("x") {
			t.Errorf("%s set is not empty", name)
		}
		if got := string(set.JWKS()); name != "zero" && got != `{"keys":[]}` {
			t.Errorf("%s set: %s", name, got)
		}
		_, err := Verify(signed(t, testKey(t, EdDSA), testMint()), set, testExpect())
		wantReason(t, err, UnknownKey)
	}
}

func TestParseKeySetOfOurs(t *testing.T) {
	var keys []*SigningKey
	for _, alg := range signingAlgs {
		keys = append(keys, testKey(t, alg))
	}
	ours := NewKeySet(keys...)
	set, skipped, err := ParseKeySet(ours.JWKS())
	if err != nil || len(skipped) != 0 || set.Len() != len(keys) || !bytes.Equal(set.JWKS(), ours.JWKS()) {
		t.Fatalf("%v, %v, %v", set, skipped, err)
	}
	for _, key := range keys {
		if _, err := Verify(signed(t, key, testMint()), set, testExpect()); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// jwkOf writes a public key as another issuer might; changes of nil remove a member.
func jwkOf(t *testing.T, key *SigningKey, kid string, changes map[string]any) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(mustJSON(t, key.public.jwk), &members); err != nil {
		t.Fatal(err)
	}
	members["kid"] = kid
	for name, value := range changes {
		members[name] = value
		if value == nil {
			delete(members, name)
		}
	}
	return string(mustJSON(t, members))
}

func TestParseKeySetDerivesAlg(t *testing.T) {
	for _, alg := range []Alg{ES256, RS256, EdDSA} {
		jwks := `{"keys":[` + jwkOf(t, testKey(t, alg), "a", map[string]any{"alg": nil, "use": nil}) + `],"more":1}`
		set, skipped, err := ParseKeySet([]byte(jwks))
		if err != nil || len(skipped) != 0 || len(set.keys) != 1 || !set.keys[0].takes(alg, nil) || set.keys[0].takes(PS256, nil) {
			t.Errorf("%s: %v, %v, %v", alg, set, skipped, err)
		}
	}
}

func TestParseKeySetTakes(t *testing.T) {
	for name, changes := range map[string]map[string]any{
		"verify among key_ops":    {"key_ops": []string{"sign", "verify"}},
		"no use":                  {"use": nil},
		"unknown members":         {"x5c": []string{"MIIB"}, "x5t": "abc", "nbf": 1},
		"a kid of 256 bytes":      {"kid": strings.Repeat("k", 256)},
		"a kid that is not ASCII": {"kid": "schlüssel"},
		"no kid":                  {"kid": nil},
		"an empty kid":            {"kid": ""},
		"a kid of null":           {"kid": jsonNull},
		"private members of null": {"d": jsonNull, "k": jsonNull},
	} {
		set, skipped, err := ParseKeySet([]byte(`{"keys":[` + jwkOf(t, testKey(t, ES256), "a", changes) + `]}`))
		if err != nil || len(skipped) != 0 || set.Len() != 1 {
			t.Errorf("%s: %v, %v", name, skipped, err)
		}
	}
}

func TestParseKeySetSkips(t *testing.T) {
	ec, rs, ed := testKey(t, ES256), testKey(t, RS256), testKey(t, EdDSA)
	x, y := ec.public.jwk.X, ec.public.jwk.Y
	good := jwkOf(t, ed, "good", nil)
	for name, bad := range map[string]string{
		"a string":                `"key"`,
		"null":                    `null`,
		"an empty object":         `{}`,
		"symmetric":               `{"kty":"oct","kid":"bad","alg":"HS256","k":"AAAA"}`,
		"unknown kty":             `{"kty":"AKP","kid":"bad","alg":"ML-DSA-44","pub":"AAAA"}`,
		"kty in small letters":    jwkOf(t, ec, "bad", map[string]any{"kty": "ec", "alg": nil}),
		"kid a number":            jwkOf(t, ec, "bad", map[string]any{"kid": 1}),
		"kid long":                jwkOf(t, ec, strings.Repeat("k", 257), nil),
		"for encryption":          jwkOf(t, ec, "bad", map[string]any{"use": "enc"}),
		"use in capitals":         jwkOf(t, ec, "bad", map[string]any{"use": "SIG"}),
		"key_ops without verify":  jwkOf(t, ec, "bad", map[string]any{"key_ops": []string{"encrypt"}}),
		"key_ops empty":           jwkOf(t, ec, "bad", map[string]any{"key_ops": []string{}}),
		"private EC":              jwkOf(t, ec, "bad", map[string]any{"d": ec.private().D}),
		"a member twice":          strings.Replace(jwkOf(t, ec, "bad", nil), "{", `{"kty":"OKP",`, 1),
		"not UTF-8":               strings.Replace(jwkOf(t, ec, "bad", nil), "bad", "\xff", 1),
		"private RSA":             jwkOf(t, rs, "bad", map[string]any{"p": "AQAB"}),
		"with other primes":       jwkOf(t, rs, "bad", map[string]any{"oth": []any{}}),
		"with k":                  jwkOf(t, rs, "bad", map[string]any{"k": "AQAB"}),
		"alg of another curve":    jwkOf(t, ec, "bad", map[string]any{"alg": "ES384"}),
		"alg of another type":     jwkOf(t, ec, "bad", map[string]any{"alg": "RS256"}),
		"alg none":                jwkOf(t, ec, "bad", map[string]any{"alg": "none"}),
		"alg HS256":               jwkOf(t, rs, "bad", map[string]any{"alg": "HS256"}),
		"alg RSA-OAEP":            jwkOf(t, rs, "bad", map[string]any{"alg": "RSA-OAEP"}),
		"alg ES256K":              jwkOf(t, ec, "bad", map[string]any{"alg": "ES256K", "crv": "secp256k1"}),
		"unknown curve":           jwkOf(t, ec, "bad", map[string]any{"alg": nil, "crv": "P-224"}),
		"X25519":                  jwkOf(t, ed, "bad", map[string]any{"alg": nil, "crv": "X25519"}),
		"Ed25519 as EC":           jwkOf(t, ed, "bad", map[string]any{"alg": nil, "kty": "EC"}),
		"x missing":               jwkOf(t, ec, "bad", map[string]any{"x": nil}),
		"y missing":               jwkOf(t, ec, "bad", map[string]any{"y": nil}),
		"x and y swapped":         jwkOf(t, ec, "bad", map[string]any{"x": y, "y": x}),
		"point of zeros":          jwkOf(t, ec, "bad", map[string]any{"x": strings.Repeat("A", 43), "y": strings.Repeat("A", 43)}),
		"x with another byte":     jwkOf(t, ec, "bad", map[string]any{"x": "AQ" + x}),
		"x with commas":           jwkOf(t, ec, "bad", map[string]any{"x": x + ",,"}),
		"x in other base64":       jwkOf(t, ec, "bad", map[string]any{"x": "+/" + x[2:]}),
		"x empty":                 jwkOf(t, ec, "bad", map[string]any{"x": "="}),
		"x with a newline":        jwkOf(t, ec, "bad", map[string]any{"x": x[:20] + "\n" + x[20:]}),
		"x short":                 jwkOf(t, ed, "bad", map[string]any{"x": "AAAA"}),
		"RSA of 1024 bits":        jwkOf(t, rs, "bad", map[string]any{"n": rsaModulus(1024)}),
		"RSA of 2047 bits":        jwkOf(t, rs, "bad", map[string]any{"n": rsaModulus(2047)}),
		"RSA of 8193 bits":        jwkOf(t, rs, "bad", map[string]any{"n": rsaModulus(8193)}),
		"RSA of 16384 bits":       jwkOf(t, rs, "bad", map[string]any{"n": rsaModulus(16384)}),
		"RSA, n of zeros":         jwkOf(t, rs, "bad", map[string]any{"n": strings.Repeat("A", 342)}),
		"RSA of 1024 bits, zeros": jwkOf(t, rs, "bad", map[string]any{"n": strings.Repeat("AAAA", 50) + rsaModulus(1024)}),
		"RSA, n missing":          jwkOf(t, rs, "bad", map[string]any{"n": nil}),
		"RSA, e missing":          jwkOf(t, rs, "bad", map[string]any{"e": nil}),
		"RSA, e of 1":             jwkOf(t, rs, "bad", map[string]any{"e": "AQ"}),
		"RSA, e of 3":             jwkOf(t, rs, "bad", map[string]any{"e": "Aw"}),
		"RSA, e even":             jwkOf(t, rs, "bad", map[string]any{"e": base64.RawURLEncoding.EncodeToString([]byte{1, 0, 2})}),
		"RSA, e of 33 bits":       jwkOf(t, rs, "bad", map[string]any{"e": base64.RawURLEncoding.EncodeToString([]byte{1, 0, 0, 0, 1})}),
		"RSA, e of 2^64+65537":    jwkOf(t, rs, "bad", map[string]any{"e": base64.RawURLEncoding.EncodeToString([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})}),
	} {
		t.Run(name, func(t *testing.T) {
			set, skipped, err := ParseKeySet([]byte(`{"keys":[` + bad + "," + good + `]}`))
			if err != nil {
				t.Fatal(err)
			}
			if set.Len() != 1 || !set.Has("good") || len(skipped) != 1 {
				t.Fatalf("%d keys, skipped %v", set.Len(), skipped)
			}
			if len(skipped[0].Error()) > 250 || strings.Contains(skipped[0].Error(), ec.private().D) {
				t.Errorf("error says too much: %v", skipped[0])
			}
			if _, skipped, err := ParseKeySet([]byte(`{"keys":[` + bad + `]}`)); err == nil || len(skipped) != 1 {
				t.Errorf("alone: %v, %v", skipped, err)
			}
		})
	}
}

// jsonNull is a member that is there and null.
var jsonNull = (*int)(nil)

func rsaModulus(bits int) string {
	n := make([]byte, (bits+7)/8)
	n[0] = 1 << ((bits - 1) % 8)
	n[len(n)-1] = 1
	return base64.RawURLEncoding.EncodeToString(n)
}

func TestParseKeySetRefuses(t *testing.T) {
	key := jwkOf(t, testKey(t, EdDSA), "a", nil)
	var many []string
	for i := range MaxKeys + 1 {
		many = append(many, jwkOf(t, testKey(t, EdDSA), fmt.Sprint("k", i), nil))
	}
	if _, _, err := ParseKeySet([]byte(`{"keys":[` + strings.Join(many[1:], ",") + `]}`)); err != nil {
		t.Errorf("%d keys: %v", MaxKeys, err)
	}
	for name, jwks := range map[string]string{
		"empty":          "",
		"HTML":           "<html>",
		"null":           "null",
		"an array":       "[" + key + "]",
		"a key":          key,
		"keys missing":   "{}",
		"keys null":      `{"keys":null}`,
		"keys an object": `{"keys":{}}`,
		"keys empty":     `{"keys":[]}`,
		"keys twice":     `{"keys":[` + key + `],"keys":[]}`,
		"Keys":           `{"Keys":[` + key + `]}`,
		"trailing":       `{"keys":[` + key + `]}{}`,
		"too many":       `{"keys":[` + strings.Join(many, ",") + `]}`,
		"too large":      `{"keys":[` + key + `],"x":"` + strings.Repeat("x", MaxJWKSSize) + `"}`,
	} {
		if set, _, err := ParseKeySet([]byte(jwks)); err == nil || set != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestKeyWithdrawn: a key that cannot be looked up is not taken for one that was withdrawn.
func TestKeyWithdrawn(t *testing.T) {
	failure, key := errors.New("storage is unreachable"), testKey(t, ES256)
	for name, test := range map[string]struct {
		keys      *KeySet
		err       error
		withdrawn bool
		want      error
	}{
		"in the set":     {keys: NewKeySet(key)},
		"not in the set": {keys: NewKeySet(), withdrawn: true},
		"revoked":        {err: &Error{Reason: Revoked}, withdrawn: true},
		"unknown":        {err: failure, want: failure},
	} {
		if withdrawn, err := KeyWithdrawn(key.ID(), test.keys, test.err); withdrawn != test.withdrawn || err != test.want {
			t.Errorf("%s: %t, %v", name, withdrawn, err)
		}
	}
}
