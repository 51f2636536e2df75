package token

import (
	"reflect"
	"strings"
	"testing"
)

// Thumbprints of keys that no test needs.
const (
	thumbprintA = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" // RFC 9449 §6.1
	thumbprintB = "A9Zt0Ig1wco_EozOrNHzGslBYwlrIPRFroQoW8CDLXI"
)

// TestVerifyBound: a verifier whose caller checks proofs learns the keys of each token that is bound to nothing else. All other
// forms of cnf stay refused: no proof of one member replaces that of another.
func TestVerifyBound(t *testing.T) {
	key := testKey(t, EdDSA)
	const x5t = thumbprintB
	expect := testExpect()
	expect.Bound = true
	for cnf, want := range map[string]Confirmation{
		"":                                {},
		`{"jkt":"` + thumbprintA + `"}`:   {JKT: thumbprintA},
		`{"x5t#S256":"` + x5t + `"}`:      {X5TS256: x5t},
		`{"x5t\u0023S256":"` + x5t + `"}`: {X5TS256: x5t},
		`{"jkt":"` + thumbprintA + `","x5t#S256":"` + x5t + `"}`: {thumbprintA, x5t},
	} {
		claims := testClaims(t, nil)
		if cnf != "" {
			claims = strings.TrimSuffix(claims, "}") + `,"cnf":` + cnf + "}"
		}
		raw := signedClaims(t, key, claims)
		got, err := Verify(raw, NewKeySet(key), expect)
		if err != nil || got.Confirmation() != want {
			t.Errorf("%s: %v, %v", cnf, got, err)
		}
		if _, err := Verify(raw, NewKeySet(key), testExpect()); (err == nil) != (cnf == "") {
			t.Errorf("%s without Bound: %v", cnf, err)
		}
	}
	for _, cnf := range []string{
		`{}`, `null`, `""`, `"k"`, `1`, `true`, `[]`, `[{"jkt":"` + thumbprintA + `"}]`,
		`{"jkt":""}`, `{"jkt":null}`, `{"jkt":1}`, `{"jkt":["` + thumbprintA + `"]}`, `{"JKT":"` + thumbprintA + `"}`,
		`{"jkt":"` + thumbprintA[1:] + `"}`, `{"jkt":"` + thumbprintA + `="}`, `{"jkt":"` + thumbprintA + `A"}`, `{"jkt":" ` + thumbprintA[1:] + `"}`,
		`{"jkt":"` + strings.TrimSuffix(thumbprintA, "I") + `J"}`, // unused bits are set
		`{"x5t#S256":""}`, `{"x5t":"` + x5t + `"}`, `{"x5t#s256":"` + x5t + `"}`,
		`{"jwk":{"kty":"OKP"}}`, `{"kid":"k"}`, `{"jku":"https://a.example"}`, `{"jwe":"a.b.c.d.e"}`, `{"kid":"` + thumbprintA + `"}`,
		`{"jkt":"` + thumbprintA + `","kid":"k"}`, `{"jkt":"` + thumbprintA + `","x5t#S256":""}`, `{"jkt":"","x5t#S256":"` + x5t + `"}`,
		`{"jkt":"` + thumbprintA + `","osc":{}}`, `{"jkt":"` + thumbprintA + `","jwk":{"kty":"OKP"}}`,
	} {
		raw := signedClaims(t, key, strings.TrimSuffix(testClaims(t, nil), "}")+`,"cnf":`+cnf+"}")
		if _, err := Verify(raw, NewKeySet(key), expect); ErrorReason(err) != SenderConstrained {
			t.Errorf("%s: %v", cnf, err)
		}
	}
	for _, twice := range []string{
		`"cnf":{"jkt":"` + thumbprintA + `"},"cnf":{"jkt":"` + thumbprintA + `"}`,
		`"cnf":{"jkt":"` + thumbprintA + `"},"c\u006ef":{"x5t#S256":"` + x5t + `"}`,
		`"cnf":{"jkt":"` + thumbprintA + `","jkt":"` + thumbprintA + `"}`,
	} {
		raw := signedClaims(t, key, strings.TrimSuffix(testClaims(t, nil), "}")+","+twice+"}")
		if _, err := Verify(raw, NewKeySet(key), expect); ErrorReason(err) != Malformed {
			t.Errorf("%s: %v", twice, err)
		}
	}
}

// TestMintBound: a minted cnf is read back, also beside the claims of a policy, which cannot have its name or that of act.
func TestMintBound(t *testing.T) {
	key := testKey(t, EdDSA)
	expect := testExpect()
	expect.Bound = true
	for _, c := range []Confirmation{{}, {JKT: thumbprintA}, {X5TS256: thumbprintB}, {thumbprintA, thumbprintB}} {
		m := testMint()
		m.Confirmation, m.Extra = c, map[string]any{"b": "b", "d": "d"}
		got, err := Verify(signed(t, key, m), NewKeySet(key), expect)
		if err != nil || got.Confirmation() != c {
			t.Errorf("%+v: %+v, %v", c, got, err)
		}
		if read, err := ReadMinted(claimsOf(t, m)); err != nil || read.Confirmation() != c {
			t.Errorf("%+v: %+v, %v", c, read, err)
		}
		for _, name := range []string{"cnf", "act", "CNF", "may_act"} {
			m.Extra = map[string]any{name: map[string]any{"jkt": thumbprintB}}
			if _, err := m.Claims(); err == nil {
				t.Errorf("a policy sets %s", name)
			}
		}
	}
	for _, c := range []Confirmation{{JKT: "a"}, {X5TS256: thumbprintA + "A"}, {JKT: thumbprintA, X5TS256: `"`}} {
		m := testMint()
		if m.Confirmation = c; c.TokenType() == "" {
			t.Error("no token type")
		}
		if _, err := m.Claims(); err == nil {
			t.Errorf("%+v is minted", c)
		}
	}
}

// FuzzConfirmation: a cnf that is accepted has nothing but thumbprints, and is that of a minted token with the same keys.
func FuzzConfirmation(f *testing.F) {
	for _, seed := range []string{
		`{"jkt":"` + thumbprintA + `"}`, `{"x5t#S256":"` + thumbprintB + `"}`, `{"jkt":"` + thumbprintA + `","x5t#S256":"` + thumbprintB + `"}`,
		`{"jkt":"` + thumbprintA + `","kid":"k"}`, `{}`, `null`, `"k"`, `{"jkt":["a"]}`, `{"j\u006bt":"` + thumbprintA + `"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cnf string) {
		all, err := parsePayload([]byte(`{"cnf":` + cnf + `}`))
		if err != nil {
			return
		}
		if _, ok := all["cnf"]; !ok {
			t.Fatalf("%s ends its claim", cnf)
		}
		c, bound := (&claimReader{all: all}).confirmation()
		if !bound {
			t.Fatalf("%s is not seen", cnf)
		}
		if c == (Confirmation{}) {
			return
		}
		m := testMint()
		m.Confirmation = c
		minted, err := ReadMinted(claimsOf(t, m))
		if err != nil || minted.Confirmation() != c || !reflect.DeepEqual(minted.All["cnf"], all["cnf"]) {
			t.Fatalf("%s is read as %+v, minted as %v", cnf, c, minted)
		}
	})
}
