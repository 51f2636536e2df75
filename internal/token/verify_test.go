package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

func TestVerify(t *testing.T) {
	for _, alg := range signingAlgs {
		t.Run(string(alg), func(t *testing.T) {
			key := testKey(t, alg)
			raw := signed(t, key, testMint())
			if kid, err := KeyID(raw); kid != key.ID() || err != nil {
				t.Errorf("KeyID = %q, %v, want %q", kid, err, key.ID())
			}
			c, err := Verify(raw, NewKeySet(testKey(t, ES256), testKey(t, EdDSA), key), testExpect())
			if err != nil {
				t.Fatal(err)
			}
			if c.Issuer != testIssuer || c.Subject != "ci-bot" || c.ClientID != "ci-bot" || c.ID != "JTI1" {
				t.Errorf("names: %+v", c)
			}
			if len(c.Audience) != 1 || c.Audience[0] != testAudience {
				t.Errorf("audience: %q", c.Audience)
			}
			if !c.IssuedAt.Equal(testNow) || !c.Expires.Equal(testNow.Add(10*time.Minute)) || !c.NotBefore.IsZero() {
				t.Errorf("times: %v %v %v", c.IssuedAt, c.Expires, c.NotBefore)
			}
			if c.Scope != "book:*:read book:1:edit" || len(c.Scopes) != 2 || c.Scopes[1].Identifier != "1" {
				t.Errorf("scope: %q %v", c.Scope, c.Scopes)
			}
			if fmt.Sprint(c.All["exp"]) != fmt.Sprint(testNow.Add(10*time.Minute).Unix()) || len(c.All) != 8 {
				t.Errorf("all: %v", c.All)
			}
		})
	}
}

// Every byte counts: no other text than the token itself is taken for it.
func TestVerifyEveryByteCounts(t *testing.T) {
	t.Parallel()
	key := testKey(t, EdDSA)
	keys, expect := NewKeySet(key), testExpect()
	raw := signed(t, key, testMint())
	accepted := func(changed string) {
		if _, err := Verify(changed, keys, expect); err == nil {
			t.Errorf("accepted %q", changed)
		}
	}
	for i := range len(raw) {
		for bit := range 8 {
			accepted(raw[:i] + string([]byte{raw[i] ^ 1<<bit}) + raw[i+1:])
		}
		for _, c := range []string{"A", ".", "=", "\n", "\x00"} {
			accepted(raw[:i] + c + raw[i:])
		}
		accepted(raw[:i])
		accepted(raw[i+1:])
		accepted(raw[:i] + raw[i+1:])
	}
}

func TestVerifyRefusesHeaders(t *testing.T) {
	key := testKey(t, ES256)
	head := func(members string) string {
		return fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"at+jwt"%s}`, key.ID(), members)
	}
	for _, tt := range []struct {
		name, header string
		want         Reason
	}{
		{"unknown member", head(`,"x5t":"abc","foo":{"bar":[1]}`), ""},
		{"white space", " \n" + head("") + "\t", ""},
		{"typ in capitals, as media type", strings.ReplaceAll(head(""), "at+jwt", "APPLICATION/at+JWT"), ""},
		{"crit", head(`,"crit":["exp"]`), Unsupported},
		{"crit empty", head(`,"crit":[]`), Unsupported},
		{"crit null", head(`,"crit":null`), Unsupported},
		{"b64 false", head(`,"b64":false`), Unsupported},
		{"b64 true", head(`,"b64":true`), Unsupported},
		{"jwk", head(`,"jwk":` + string(mustJSON(t, key.public.jwk))), Unsupported},
		{"jku", head(`,"jku":"https://example.com/jwks"`), Unsupported},
		{"x5u", head(`,"x5u":"https://example.com/cert"`), Unsupported},
		{"x5c", head(`,"x5c":["MIIB"]`), Unsupported},
		{"zip", head(`,"zip":"DEF"`), Unsupported},
		{"enc", head(`,"enc":"A256GCM"`), Unsupported},
		{"p2c", head(`,"p2c":1000000000`), Unsupported},
		{"cty", head(`,"cty":"JWT"`), Unsupported},
		{"crit with an escaped name", head(`,"\u0063rit":["exp"]`), Unsupported},
		{"alg none", strings.ReplaceAll(head(""), "ES256", "none"), WrongAlgorithm},
		{"alg NoNe", strings.ReplaceAll(head(""), "ES256", "NoNe"), WrongAlgorithm},
		{"alg HS256", strings.ReplaceAll(head(""), "ES256", "HS256"), WrongAlgorithm},
		{"alg ES256K", strings.ReplaceAll(head(""), "ES256", "ES256K"), WrongAlgorithm},
		{"alg es256", strings.ReplaceAll(head(""), "ES256", "es256"), WrongAlgorithm},
		{"alg of another key", strings.ReplaceAll(head(""), "ES256", "EdDSA"), WrongAlgorithm},
		{"alg of another curve", strings.ReplaceAll(head(""), "ES256", "ES512"), WrongAlgorithm},
		{"alg missing", fmt.Sprintf(`{"kid":%q,"typ":"at+jwt"}`, key.ID()), Malformed},
		{"alg empty", strings.ReplaceAll(head(""), "ES256", ""), Malformed},
		{"alg a number", fmt.Sprintf(`{"alg":256,"kid":%q,"typ":"at+jwt"}`, key.ID()), Malformed},
		{"alg null", fmt.Sprintf(`{"alg":null,"kid":%q,"typ":"at+jwt"}`, key.ID()), Malformed},
		{"alg in capitals only", fmt.Sprintf(`{"ALG":"ES256","kid":%q,"typ":"at+jwt"}`, key.ID()), Malformed},
		{"alg twice", head(`,"alg":"none"`), Malformed},
		{"kid twice", head(`,"kid":"other"`), Malformed},
		{"kid twice, escaped", head(`,"k\u0069d":"other"`), Malformed},
		{"member of a member twice", head(`,"foo":{"a":1,"a":2}`), Malformed},
		{"kid missing", `{"alg":"ES256","typ":"at+jwt"}`, UnknownKey},
		{"kid empty", `{"alg":"ES256","kid":"","typ":"at+jwt"}`, UnknownKey},
		{"kid unknown", `{"alg":"ES256","kid":"other","typ":"at+jwt"}`, UnknownKey},
		{"kid a number", `{"alg":"ES256","kid":1,"typ":"at+jwt"}`, Malformed},
		{"kid long", `{"alg":"ES256","kid":"` + strings.Repeat("k", 257) + `","typ":"at+jwt"}`, Malformed},
		{"kid huge", `{"alg":"ES256","kid":"` + strings.Repeat("k", 2000) + `","typ":"at+jwt"}`, Malformed},
		{"typ of an ID token", strings.ReplaceAll(head(""), "at+jwt", "JWT"), WrongType},
		{"typ of a logout token", strings.ReplaceAll(head(""), "at+jwt", "logout+jwt"), WrongType},
		{"typ with a second slash", strings.ReplaceAll(head(""), "at+jwt", "application/application/at+jwt"), WrongType},
		{"typ missing", fmt.Sprintf(`{"alg":"ES256","kid":%q}`, key.ID()), WrongType},
		{"typ empty", strings.ReplaceAll(head(""), "at+jwt", ""), WrongType},
		{"typ long", strings.ReplaceAll(head(""), "at+jwt", strings.Repeat("t", 65)), Malformed},
		{"typ an array", fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":["at+jwt"]}`, key.ID()), Malformed},
		{"an array", "[" + head("") + "]", Malformed},
		{"a string", `"ES256"`, Malformed},
		{"null", "null", Malformed},
		{"trailing object", head("") + "{}", Malformed},
		{"trailing text", head("") + "x", Malformed},
		{"trailing comma", head(","), Malformed},
		{"cut short", strings.TrimSuffix(head(""), "}"), Malformed},
		{"byte order mark", "\ufeff" + head(""), Malformed},
		{"not UTF-8", head(",\"foo\":\"\xff\""), Malformed},
		{"half a surrogate pair", head(`,"foo":"\ud800"`), Malformed},
		{"too large", head(`,"foo":"` + strings.Repeat("f", 1024) + `"`), Malformed},
		{"too deep", head(`,"foo":` + strings.Repeat("[", 450) + strings.Repeat("]", 449)), Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Verify(signedHeader(t, key, tt.header), NewKeySet(key), testExpect())
			wantReason(t, err, tt.want)
		})
	}
}

func TestVerifyRefusesText(t *testing.T) {
	key := testKey(t, EdDSA)
	raw := signed(t, key, testMint())
	parts := strings.Split(raw, ".")
	head, body, sig := parts[0], parts[1], parts[2]
	padded := encodeBase64([]byte(testClaims(t, map[string]any{"x": strings.Repeat("x", 7000)})))
	for _, tt := range []struct {
		name, raw string
		want      Reason
	}{
		{"empty", "", Malformed},
		{"dots", "..", Malformed},
		{"two parts", head + "." + body, Malformed},
		{"four parts", raw + "." + sig, Malformed},
		{"five parts, as an encrypted token has", head + "..." + body + "." + sig, Malformed},
		{"trailing dot", raw + ".", Malformed},
		{"leading dot", "." + raw, Malformed},
		{"no signature", head + "." + body + ".", Malformed},
		{"no payload", head + ".." + sig, Malformed},
		{"no header", "." + body + "." + sig, Malformed},
		{"leading space", " " + raw, Malformed},
		{"trailing newline", raw + "\n", Malformed},
		{"newline inside", raw[:10] + "\n" + raw[10:], Malformed},
		{"carriage return in the signature", raw[:len(raw)-4] + "\r" + raw[len(raw)-4:], Malformed},
		{"trailing NUL", raw + "\x00", Malformed},
		{"padding", raw + "==", Malformed},
		{"standard alphabet", head + "." + body + "." + strings.Repeat("+/", 43), Malformed},
		{"not ASCII", head + "." + body + "." + strings.Repeat("é", 43), Malformed},
		{"unused bits in the signature", head + "." + body + "." + sig[:85] + flipUnusedBits(sig[85]), Malformed},
		{"one character too many in a part", head + "." + body + "." + sig[:85], Malformed},
		{"JSON serialization", `{"payload":"` + body + `","protected":"` + head + `","signature":"` + sig + `"}`, Malformed},
		{"too large", signedParts(t, key, head, padded), Malformed},
		{"Bearer and the token", "Bearer " + raw, Malformed},
		{"signature too short", head + "." + body + "." + sig[:84], BadSignature},
		{"signature too long", head + "." + body + "." + sig + "AAAA", BadSignature},
		{"signature of another token", head + "." + body + "." + strings.Split(signed(t, key, Mint{
			Issuer: testIssuer, ClientID: "x", ID: "y", Audience: []string{"z"}, IssuedAt: testNow, TTL: time.Hour,
		}), ".")[2], BadSignature},
		{"signature of zeros", head + "." + body + "." + strings.Repeat("A", 86), BadSignature},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Verify(tt.raw, NewKeySet(key), testExpect())
			wantReason(t, err, tt.want)
			if err != nil && strings.Contains(err.Error(), sig[:20]) {
				t.Errorf("error shows the token: %v", err)
			}
		})
	}
}

// flipUnusedBits changes those bits of the last of 86 characters that no byte needs.
func flipUnusedBits(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

func TestVerifyRefusesClaims(t *testing.T) {
	key := testKey(t, EdDSA)
	claims := testClaims(t, nil)
	set := func(name string, value any) string { return testClaims(t, map[string]any{name: value}) }
	raw := func(name, value string) string {
		return strings.TrimSuffix(testClaims(t, map[string]any{name: nil}), "}") + `,"` + name + `":` + value + "}"
	}
	now := testNow.Unix()
	for _, tt := range []struct {
		name, claims string
		want         Reason
	}{
		{"genuine", claims, ""},
		{"white space", "\n" + claims + " ", ""},
		{"aud of several", set("aud", []string{"a", testAudience}), ""},
		{"exp with a fraction", set("exp", float64(now)+0.5), ""},
		{"exp with an exponent", raw("exp", "2e9"), ""},
		{"nbf past", set("nbf", now-1), ""},
		{"nbf now", set("nbf", now), ""},
		{"scope missing", set("scope", nil), ""},
		{"deepest", set("x", nested(maxDepth-1)), ""},
		{"large integer", raw("x", "18446744073709551617"), ""},

		{"iss missing", set("iss", nil), BadClaims},
		{"iss a number", set("iss", 1), BadClaims},
		{"iss in an array", set("iss", []string{testIssuer}), BadClaims},
		{"iss another", set("iss", "https://evil.example.com"), WrongIssuer},
		{"iss with a slash", set("iss", testIssuer+"/"), WrongIssuer},
		{"iss in capitals", set("iss", strings.ToUpper(testIssuer)), WrongIssuer},
		{"iss as Iss only", strings.Replace(claims, `"iss"`, `"Iss"`, 1), BadClaims},
		{"aud missing", set("aud", nil), BadClaims},
		{"aud a number", set("aud", 1), BadClaims},
		{"aud null", raw("aud", "null"), BadClaims},
		{"aud empty", set("aud", ""), BadClaims},
		{"aud of none", set("aud", []string{}), BadClaims},
		{"aud with a number", set("aud", []any{testAudience, 1}), BadClaims},
		{"aud with an empty one", set("aud", []any{testAudience, ""}), BadClaims},
		{"aud in arrays", set("aud", []any{[]any{testAudience}}), BadClaims},
		{"aud another", set("aud", "https://evil.example.com"), WrongAudience},
		{"aud a longer one", set("aud", testAudience+"/v1"), WrongAudience},
		{"cnf of DPoP", raw("cnf", `{"jkt":"0ZcOCORZNYy"}`), SenderConstrained},
		{"cnf of mutual TLS", raw("cnf", `{"x5t#S256":"bwcK0esc3AC"}`), SenderConstrained},
		{"cnf with a key", raw("cnf", `{"jwk":{"kty":"OKP"}}`), SenderConstrained},
		{"cnf with the ID of a key", raw("cnf", `{"kid":"k","jku":"https://a.example"}`), SenderConstrained},
		{"cnf with an encrypted key", raw("cnf", `{"jwe":"a.b.c.d.e"}`), SenderConstrained},
		{"cnf empty", raw("cnf", `{}`), SenderConstrained},
		{"cnf null", raw("cnf", `null`), SenderConstrained},
		{"cnf a string", raw("cnf", `"k"`), SenderConstrained},
		{"cnf with an escaped name", raw(`c\u006ef`, `{"jkt":"a"}`), SenderConstrained},
		{"cnf inside another claim", raw("x", `{"cnf":{"jkt":"a"}}`), ""},
		{"exp missing", set("exp", nil), BadClaims},
		{"exp a string", set("exp", "2000000000"), BadClaims},
		{"exp null", raw("exp", "null"), BadClaims},
		{"exp true", set("exp", true), BadClaims},
		{"exp 0", set("exp", 0), BadClaims},
		{"exp negative", set("exp", -1), BadClaims},
		{"exp in milliseconds", set("exp", (now+60)*1000), BadClaims},
		{"exp infinite", raw("exp", "1e400"), Malformed},
		{"exp 1e300", raw("exp", "1e300"), BadClaims},
		{"exp now", set("exp", now), Expired},
		{"exp half a second ago", set("exp", float64(now)-0.5), Expired},
		{"nbf a string", set("nbf", "1"), BadClaims},
		{"nbf future", set("nbf", now+1), NotYetValid},
		{"iat missing", set("iat", nil), BadClaims},
		{"iat a string", set("iat", "1"), BadClaims},
		{"iat future", set("iat", now+1), NotYetValid},
		{"sub missing", set("sub", nil), BadClaims},
		{"sub empty", set("sub", ""), BadClaims},
		{"sub with a newline", set("sub", "a\r\nX-Admin: 1"), BadClaims},
		{"sub with NUL", set("sub", "a\x00"), BadClaims},
		{"sub long", set("sub", strings.Repeat("s", maxTextSize+1)), BadClaims},
		{"client_id missing", set("client_id", nil), BadClaims},
		{"client_id an object", set("client_id", map[string]any{}), BadClaims},
		{"jti missing", set("jti", nil), BadClaims},
		{"jti a number", set("jti", 1), BadClaims},
		{"scope an array", set("scope", []string{"book"}), BadClaims},

		{"claim twice", strings.TrimSuffix(claims, "}") + `,"exp":9999999999}`, Malformed},
		{"claim twice, escaped", strings.TrimSuffix(claims, "}") + `,"\u0073ub":"admin"}`, Malformed},
		{"member of a claim twice", raw("x", `{"a":[{"b":1,"b":2}]}`), Malformed},
		{"too deep", set("x", nested(maxDepth)), Malformed},
		{"very deep", raw("x", strings.Repeat("[", 2000)+strings.Repeat("]", 2000)), Malformed},
		{"number with a huge exponent", raw("x", "1e999999999"), Malformed},
		{"number with a tiny exponent", raw("x", "1e-999999999"), Malformed},
		{"number of many digits", raw("x", strings.Repeat("9", 65)), Malformed},
		{"NaN", raw("x", "NaN"), Malformed},
		{"not UTF-8", raw("x", "\"\xff\""), Malformed},
		{"trailing object", claims + "{}", Malformed},
		{"trailing text", claims + "x", Malformed},
		{"an array", "[" + claims + "]", Malformed},
		{"null", "null", Malformed},
		{"a token", signed(t, key, testMint()), Malformed},
		{"a token as a string", `"` + signed(t, key, testMint()) + `"`, Malformed},
		{"cut short", strings.TrimSuffix(claims, "}"), Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Verify(signedClaims(t, key, tt.claims), NewKeySet(key), testExpect())
			wantReason(t, err, tt.want)
			if err != nil && strings.ContainsAny(err.Error(), "\"\\\r\n") {
				t.Errorf("error is not fit for a header: %v", err)
			}
		})
	}
}

// nested is an array of that depth.
func nested(depth int) any {
	var v any = 1
	for range depth {
		v = []any{v}
	}
	return v
}

func TestVerifyExpectations(t *testing.T) {
	key := testKey(t, EdDSA)
	at := func(d time.Duration) func() time.Time { return func() time.Time { return testNow.Add(d) } }
	foreign := testClaims(t, map[string]any{"sub": nil, "client_id": nil, "jti": nil, "iat": nil})
	for _, tt := range []struct {
		name   string
		claims string
		change func(*Expect)
		want   Reason
	}{
		{"zero", "", func(e *Expect) { *e = Expect{} }, WrongIssuer},
		{"no audience", "", func(e *Expect) { e.Audiences = nil }, WrongAudience},
		{"empty audience", "", func(e *Expect) { e.Audiences = []string{""} }, WrongAudience},
		{"last moment", "", func(e *Expect) { e.Now = at(10*time.Minute - 1) }, ""},
		{"expired", "", func(e *Expect) { e.Now = at(10 * time.Minute) }, Expired},
		{"expired within leeway", "", func(e *Expect) { e.Now, e.Leeway = at(10*time.Minute), time.Second }, ""},
		{"expired beyond leeway", "", func(e *Expect) { e.Now, e.Leeway = at(10*time.Minute+time.Second), time.Second }, Expired},
		{"issued ahead within leeway", "", func(e *Expect) { e.Now, e.Leeway = at(-time.Second), time.Second }, ""},
		{"issued ahead beyond leeway", "", func(e *Expect) { e.Now, e.Leeway = at(-time.Second-1), time.Second }, NotYetValid},
		{"negative leeway", "", func(e *Expect) { e.Leeway = -time.Hour }, ""},
		{"real clock", "", func(e *Expect) { e.Now = nil }, Expired},
		{"other types", "", func(e *Expect) { e.Types = []string{"JWT"} }, WrongType},
		{"several types", "", func(e *Expect) { e.Types = []string{"JWT", "application/AT+jwt"} }, ""},
		{"empty type", "", func(e *Expect) { e.Types = []string{""} }, WrongType},
		{"missing claims", foreign, func(e *Expect) {}, BadClaims},
		{"missing claims allowed", foreign, func(e *Expect) { e.AllowMissing = []string{"sub", "client_id", "jti", "iat"} }, ""},
		{"all but one allowed", foreign, func(e *Expect) { e.AllowMissing = []string{"sub", "jti", "iat"} }, BadClaims},
		{"allowed to miss is not to be wrong", testClaims(t, map[string]any{"jti": 1}),
			func(e *Expect) { e.AllowMissing = []string{"jti"} }, BadClaims},
		{"exp is never optional", testClaims(t, map[string]any{"exp": nil}),
			func(e *Expect) { e.AllowMissing = []string{"exp"} }, BadClaims},
		{"aud is never optional", testClaims(t, map[string]any{"aud": nil}),
			func(e *Expect) { e.AllowMissing, e.Audiences = []string{"aud"}, []string{""} }, BadClaims},
		{"iss is never optional", testClaims(t, map[string]any{"iss": nil}),
			func(e *Expect) { e.AllowMissing, e.Issuer = []string{"iss"}, "" }, BadClaims},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.claims == "" {
				tt.claims = testClaims(t, nil)
			}
			if tt.name == "real clock" {
				tt.claims = testClaims(t, map[string]any{"exp": time.Now().Add(-time.Minute).Unix(), "iat": 1})
			}
			expect := testExpect()
			tt.change(&expect)
			_, err := Verify(signedClaims(t, key, tt.claims), NewKeySet(key), expect)
			wantReason(t, err, tt.want)
		})
	}
}

// A token that is signed with what everybody knows must not be taken for one of the issuer's.
func TestVerifyRefusesSymmetricConfusion(t *testing.T) {
	for _, alg := range signingAlgs {
		key := testKey(t, alg)
		secrets := map[string][]byte{
			"jwks": NewKeySet(key).JWKS(), "x": []byte(key.public.jwk.X), "n": []byte(key.public.jwk.N), "empty": nil,
		}
		for name, secret := range secrets {
			for _, claimed := range []Alg{"HS256", alg} {
				header := fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, claimed, key.ID())
				input := encodeBase64([]byte(header)) + "." + encodeBase64([]byte(testClaims(t, nil)))
				mac := hmac.New(sha256.New, secret)
				mac.Write([]byte(input))
				if _, err := Verify(input+"."+encodeBase64(mac.Sum(nil)), NewKeySet(key), testExpect()); err == nil {
					t.Errorf("%s, HMAC keyed with %s, alg %s: accepted", alg, name, claimed)
				}
			}
		}
	}
}

// RS256 and PS256 use keys of one kind: a key that does one must not be taken for the other.
func TestVerifyOneAlgorithmPerKey(t *testing.T) {
	rs := testKey(t, RS256)
	j := rs.private()
	private, err := privateOf(j)
	if err != nil {
		t.Fatal(err)
	}
	ps, err := newSigningKey(PS256, private)
	if err != nil {
		t.Fatal(err)
	}
	raw := signed(t, ps, testMint())
	if _, err := Verify(raw, NewKeySet(ps), testExpect()); err != nil {
		t.Fatal(err)
	}
	_, err = Verify(raw, NewKeySet(rs), testExpect())
	wantReason(t, err, WrongAlgorithm)
}

// RFC 7518 §3.5: the salt has the size of the hash.
func TestVerifyRefusesOtherSalts(t *testing.T) {
	key := testKey(t, PS256)
	private, err := privateOf(key.private())
	if err != nil {
		t.Fatal(err)
	}
	header := strings.TrimSuffix(key.header, ".")
	input := header + "." + encodeBase64([]byte(testClaims(t, nil)))
	digest := sha256.Sum256([]byte(input))
	for salt, want := range map[int]Reason{32: "", 20: BadSignature, 0: BadSignature, 64: BadSignature} {
		sig := signPSS(t, private, digest[:], salt)
		_, err := Verify(input+"."+encodeBase64(sig), NewKeySet(key), testExpect())
		wantReason(t, err, want)
	}
}

func TestVerifyScopes(t *testing.T) {
	key := testKey(t, EdDSA)
	for list, want := range map[string]string{
		"openid profile":        "openid:*:* profile:*:*",
		"book:1:read  bo*k:1:x": "book:1:read",
		"::: book \x01":         "book:*:*",
		"":                      "",
	} {
		c, err := Verify(signedClaims(t, key, testClaims(t, map[string]any{"scope": list})), NewKeySet(key), testExpect())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range c.Scopes {
			got = append(got, s.String())
		}
		if strings.Join(got, " ") != want || c.Scope != list {
			t.Errorf("%q: got %q, want %q", list, got, want)
		}
	}
}

func TestErrorReason(t *testing.T) {
	wrapped := fmt.Errorf("checking: %w", refuse(Expired, "x"))
	for err, want := range map[error]Reason{wrapped: Expired, errors.New("other"): "", nil: ""} {
		if got := ErrorReason(err); got != want {
			t.Errorf("ErrorReason(%v) = %q, want %q", err, got, want)
		}
	}
}

func mustJSON(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
