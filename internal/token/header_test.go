package token

import (
	"strings"
	"testing"
)

// TestParseHeader holds which headers are accepted and, if one has several faults, which one is reported.
func TestParseHeader(t *testing.T) {
	const (
		wrong  = "malformed: header is not one JSON object with members of the right type"
		bad    = "wrong_algorithm: alg is none, symmetric or unknown"
		noAlg  = "malformed: header has no alg"
		noKid  = "unknown_key: header has no kid"
		good   = `"alg":"ES256","kid":"a"`
		nested = 9_000
	)
	of := func(member string) string { return "unsupported: header has " + member }
	for text, want := range map[string]string{ // what is taken is written alg, kid, typ
		"{" + good + "}": "ES256 a ", "{" + good + `,"typ":"at+jwt"}`: "ES256 a at+jwt", ` {"kid":"b","typ":"","alg":"PS512"} ` + "\n": "PS512 b ",
		`{"\u0061lg":"ES256","k\u0069d":"\u0061"}`: "ES256 a ", "{" + good + `,"KID":"b","Alg":"none","Crit":[],"JWK":{}}`: "ES256 a ",
		"{" + good + `,"x5t":"a","x5t#S256":1,"x":null,"":[{}]}`: "ES256 a ", "{" + good + `,"nonce":` + strings.Repeat("[", 400) + strings.Repeat("]", 400) + "}": "ES256 a ",
		`{"alg":"ES256","kid":"` + strings.Repeat("k", MaxKeyIDSize) + `","typ":"` + strings.Repeat("t", maxTypeSize) + `"}`: "ES256 " + strings.Repeat("k", MaxKeyIDSize) + " " + strings.Repeat("t", maxTypeSize),

		"": wrong, " ": wrong, "null": wrong, " null ": wrong, "true": wrong, "1": wrong, `"a"`: wrong, "[]": wrong, "[{" + good + "}]": wrong, "{": wrong,
		"{" + good: wrong, "{" + good + "}}": wrong, "{" + good + "}{}": wrong, "{" + good + "},": wrong, "{" + good + "}\x00": wrong, "\ufeff{" + good + "}": wrong,
		"{" + good + ",}": wrong, "{," + good + "}": wrong, "{" + good + "]": wrong, `{"alg":"ES256" "kid":"a"}`: wrong, `{"alg","ES256"}`: wrong,
		"{" + good + `,"x":}`: wrong, "{" + good + `,"x":[1,]}`: wrong, "{" + good + `,"x":nul}`: wrong, "{" + good + `,"x":01}`: wrong,
		"{" + good + ",\"x\":\"\xff\"}": wrong, "{" + good + ",\"\xff\":1}": wrong, "{" + good + `,"x":"\ud800"}`: wrong, "{" + good + ",\"x\":\"\n\"}": wrong,
		"{" + good + `,"kid":"a"}`: wrong, "{" + good + `,"k\u0069d":"b"}`: wrong, "{" + good + `,"x":1,"x":1}`: wrong, "{" + good + `,"crit":1,"crit":1}`: wrong,
		"{" + good + `,"x":{"y":1,"y":2}}`: wrong, "{" + good + `,"x":[{"y":1,"\u0079":2}]}`: wrong, "{" + good + `,"jwk":{"y":1,"y":2}}`: wrong,
		`{"alg":null,"kid":"a"}`: wrong, `{"alg":1,"kid":"a"}`: wrong, `{"alg":["ES256"],"kid":"a"}`: wrong, `{"alg":{},"kid":"a"}`: wrong, `{"alg":true}`: wrong,
		`{"alg":"ES256","kid":null}`: wrong, `{"alg":"ES256","kid":1}`: wrong, `{"alg":"ES256","kid":[]}`: wrong, `{"alg":"ES256","kid":{}}`: wrong,
		"{" + good + `,"typ":null}`: wrong, "{" + good + `,"typ":1}`: wrong, "{" + good + `,"typ":[]}`: wrong, `{"crit":[],"typ":false}`: wrong,

		"{" + good + `,"x":"` + strings.Repeat("x", maxHeaderSize) + `"}`:                      "malformed: header is larger than a header may be",
		"{" + good + `,"x":` + strings.Repeat("[", nested) + strings.Repeat("]", nested) + "}": "malformed: header is larger than a header may be",
		`{"alg":"ES256","kid":"` + strings.Repeat("k", MaxKeyIDSize+1) + `"}`:                  "malformed: kid is longer than a kid may be",
		"{" + good + `,"typ":"` + strings.Repeat("t", maxTypeSize+1) + `"}`:                    "malformed: typ is longer than a type may be",
		"{}": noAlg, `{"alg":""}`: noAlg, `{"kid":"a"}`: noAlg, `{"ALG":"ES256","kid":"a"}`: noAlg,
		`{"alg":"none","kid":"a"}`: bad, `{"alg":"None"}`: bad, `{"alg":"HS256"}`: bad, `{"alg":"es256"}`: bad, `{"alg":" ES256"}`: bad, `{"alg":"\u0000"}`: bad,
		`{"alg":"ES256"}`: noKid, `{"alg":"ES256","kid":""}`: noKid, `{"alg":"ES256","Kid":"a"}`: noKid,
		`{"crit":[]}`: of("crit"), `{"alg":"none","b64":false}`: of("b64"), "{" + good + `,"jwk":null}`: of("jwk"), "{" + good + `,"jk\u0075":""}`: of("jku"),
		"{" + good + `,"x5c":[]}`: of("x5c"), "{" + good + `,"x5u":""}`: of("x5u"), "{" + good + `,"zip":""}`: of("zip"), "{" + good + `,"enc":""}`: of("enc"),
		"{" + good + `,"epk":{}}`: of("epk"), "{" + good + `,"apu":1}`: of("apu"), "{" + good + `,"apv":1}`: of("apv"), "{" + good + `,"iv":1}`: of("iv"),
		"{" + good + `,"tag":1}`: of("tag"), "{" + good + `,"p2s":1}`: of("p2s"), "{" + good + `,"p2c":1}`: of("p2c"), `{"cty":"JWT",` + good + "}": of("cty"),
		`{"crit":[],"x":1,` + good + `,"cty":""}`: of("cty"), "{" + good + `,"cty":"","crit":[]}`: of("crit"),
	} {
		h, err := parseHeader([]byte(text), headerRules{})
		got := string(h.Alg + " " + h.Kid + " " + h.Typ)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.80q is %q, want %q", text, got, want)
		}
	}
}

// TestHeaderIsReadOnce: only a token that is let in saves the next ones the reading of the same header.
func TestHeaderIsReadOnce(t *testing.T) {
	key := testKey(t, ES256)
	keys := NewKeySet(key)
	v := newVerifier(testExpect())
	mint := testMint()
	first := signed(t, key, mint)
	letIn(t, v, first, keys)
	mint.ID = "JTI2"
	head, _, _ := split(signed(t, key, mint))
	known := v.header.Load()
	if h, ok := known.of(head); !ok || string(h.Kid) != key.ID() {
		t.Errorf("got %+v, %v", h, ok)
	}
	other := signedHeader(t, key, `{"alg":"ES256","typ":"at+jwt","kid":"`+key.ID()+`"}`)
	if _, err := v.Verify(other, fixedKeys(keys)); err != nil || v.header.Load() != known {
		t.Errorf("kept a header that was not let in: %v", err)
	}
	long := signedHeader(t, key, `{"alg":"ES256","typ":"at+jwt","kid":"`+key.ID()+`"`+strings.Repeat(" ", 800)+`}`)
	if letIn(t, v, long, keys); v.header.Load() != known {
		t.Error("kept a long header")
	}
}
