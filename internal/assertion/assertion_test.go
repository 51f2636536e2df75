package assertion

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

const here = "https://auth.example.com"

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func newKey(t testing.TB, alg token.Alg) *token.SigningKey {
	t.Helper()
	key, err := token.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// claims are those of a good assertion with changes. A nil value removes a claim.
func claims(changes map[string]any) []byte {
	c := map[string]any{
		"iss": "ci-bot", "sub": "ci-bot", "aud": here, "exp": now.Add(time.Minute).Unix(), "iat": now.Unix(), "jti": "1",
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	data, _ := json.Marshal(c)
	return data
}

func sign(t testing.TB, key *token.SigningKey, typ string, claims []byte) string {
	t.Helper()
	signed, err := key.SignAs(typ, claims)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// verify opens and verifies an assertion.
func verify(raw string, keys *token.KeySet, e Expect) (*Identity, error) {
	a, err := Open(raw)
	if err != nil {
		return nil, err
	}
	return a.Verify(keys, e)
}

func expect() Expect { return Expect{Audiences: []string{here}, Now: now} }

func TestVerify(t *testing.T) {
	for _, alg := range []token.Alg{token.ES256, token.RS256, token.PS256, token.EdDSA} {
		key := newKey(t, alg)
		id, err := verify(sign(t, key, "JWT", claims(nil)), token.NewKeySet(newKey(t, alg), key), expect())
		if err != nil {
			t.Fatal(alg, err)
		}
		if id.Issuer != "ci-bot" || id.Subject != "ci-bot" || id.KeyID != key.ID() || id.ID != "1" || !id.Expires.Equal(now.Add(time.Minute)) ||
			id.Claims["jti"] != "1" {
			t.Errorf("%s: got %+v", alg, id)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	key, other := newKey(t, token.ES256), newKey(t, token.ES256)
	keys := token.NewKeySet(key)
	list := expect()
	list.AudienceList = true
	two := expect()
	two.Audiences = append(two.Audiences, here+"/oauth2/token")
	lax := expect()
	lax.NoID, lax.Bound, lax.MaxLifetime, lax.Types = true, true, 24*time.Hour, []string{"at+jwt"}
	alone := expect()
	alone.NoActor = true
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	with := func(name string, value any) []byte { return claims(map[string]any{name: value}) }
	jwt := func(claims []byte) string { return sign(t, key, "JWT", claims) }
	for name, c := range map[string]struct {
		raw    string
		expect Expect
		want   token.Reason // "" if it is accepted
	}{
		"good":                        {jwt(claims(nil)), expect(), ""},
		"typed":                       {sign(t, key, "client-authentication+jwt", claims(nil)), expect(), ""},
		"typed in full":               {sign(t, key, "application/Client-Authentication+JWT", claims(nil)), expect(), ""},
		"an access token":             {sign(t, key, "at+jwt", claims(nil)), expect(), token.WrongType},
		"a grant":                     {sign(t, key, GrantType, claims(nil)), expect(), token.WrongType},
		"a DPoP proof":                {sign(t, key, "dpop+jwt", claims(nil)), expect(), token.WrongType},
		"another audience":            {jwt(with("aud", "https://other.example")), expect(), token.WrongAudience},
		"a path below":                {jwt(with("aud", here+"/")), expect(), token.WrongAudience},
		"another case":                {jwt(with("aud", "https://AUTH.example.com")), expect(), token.WrongAudience},
		"the issuer as an array":      {jwt(with("aud", []string{here})), expect(), token.WrongAudience},
		"one of two audiences":        {jwt(with("aud", []string{here, "https://other.example"})), expect(), token.WrongAudience},
		"an array where it may be":    {jwt(with("aud", []string{here})), list, ""},
		"two where one may be":        {jwt(with("aud", []string{here, here})), list, token.WrongAudience},
		"no audience":                 {jwt(with("aud", nil)), expect(), token.BadClaims},
		"an empty array":              {jwt(with("aud", []string{})), list, token.BadClaims},
		"the token endpoint":          {jwt(with("aud", here+"/oauth2/token")), expect(), token.WrongAudience},
		"the endpoint where it may":   {jwt(with("aud", here+"/oauth2/token")), two, ""},
		"iss as an array":             {jwt(with("iss", []string{"ci-bot"})), expect(), token.BadClaims},
		"no iss":                      {jwt(with("iss", nil)), expect(), token.BadClaims},
		"no sub":                      {jwt(with("sub", nil)), expect(), token.BadClaims},
		"sub with a line break":       {jwt(with("sub", "a\nb")), expect(), token.BadClaims},
		"expired":                     {jwt(with("exp", in(-time.Minute))), expect(), token.Expired},
		"expired just now":            {jwt(with("exp", in(-10*time.Second))), expect(), ""},
		"no exp":                      {jwt(with("exp", nil)), expect(), token.BadClaims},
		"exp as text":                 {jwt(with("exp", "1e10")), expect(), token.BadClaims},
		"years ahead":                 {jwt(with("exp", in(3*365*24*time.Hour))), expect(), token.BadClaims},
		"an hour ahead":               {jwt(with("exp", in(time.Hour))), expect(), ""},
		"two hours ahead":             {jwt(with("exp", in(2*time.Hour))), expect(), token.BadClaims},
		"milliseconds":                {jwt(with("exp", now.UnixMilli())), expect(), token.BadClaims},
		"beyond all dates":            {jwt(with("exp", 1e17)), expect(), token.BadClaims},
		"nbf ahead":                   {jwt(with("nbf", in(time.Minute))), expect(), token.NotYetValid},
		"iat ahead":                   {jwt(with("iat", in(time.Minute))), expect(), token.NotYetValid},
		"no iat":                      {jwt(with("iat", nil)), expect(), ""},
		"no jti":                      {jwt(with("jti", nil)), expect(), token.BadClaims},
		"an empty jti":                {jwt(with("jti", "")), expect(), token.BadClaims},
		"jti as a number":             {jwt(with("jti", 1)), expect(), token.BadClaims},
		"cnf":                         {jwt(with("cnf", map[string]any{"jkt": "x"})), expect(), token.SenderConstrained},
		"cnf of no form":              {jwt(with("cnf", "x")), expect(), token.SenderConstrained},
		"cnf, no jti, hours":          {sign(t, key, "at+jwt", claims(map[string]any{"cnf": "x", "jti": nil, "exp": in(20 * time.Hour)})), lax, ""},
		"act":                         {jwt(with("act", map[string]any{"sub": "x"})), expect(), ""},
		"act of another":              {jwt(with("act", map[string]any{"sub": "x"})), alone, token.BadClaims},
		"another client's key":        {sign(t, other, "JWT", claims(nil)), expect(), token.UnknownKey},
		"too large":                   {jwt(with("x", strings.Repeat("x", MaxSize))), expect(), token.Malformed},
		"large":                       {jwt(with("x", strings.Repeat("x", MaxSize/2))), expect(), ""},
		"64 KiB of claims":            {jwt(with("x", strings.Repeat("x", 64<<10))), expect(), token.Malformed},
		"deep claims":                 {jwt([]byte(strings.Replace(string(claims(nil)), "{", `{"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+",", 1))), expect(), token.Malformed},
		"iss twice":                   {jwt([]byte(strings.Replace(string(claims(nil)), "{", `{"iss":"ci-bot",`, 1))), expect(), token.Malformed},
		"a claim twice, escaped":      {jwt([]byte(strings.Replace(string(claims(nil)), "{", `{"\u0069ss":"ci-bot",`, 1))), expect(), token.Malformed},
		"a claims set in an array":    {jwt([]byte("[" + string(claims(nil)) + "]")), expect(), token.Malformed},
		"no claims":                   {jwt([]byte("{}")), expect(), token.BadClaims},
		"four parts":                  {jwt(claims(nil)) + ".x", expect(), token.Malformed},
		"two parts":                   {encode("{}") + "." + encode("{}"), expect(), token.Malformed},
		"padded":                      {jwt(claims(nil)) + "=", expect(), token.Malformed},
		"a flipped bit":               {flipped(jwt(claims(nil))), expect(), token.BadSignature},
		"alg none":                    {encode(`{"alg":"none","kid":"`+key.ID()+`"}`) + "." + encode(string(claims(nil))) + ".", expect(), token.Malformed},
		"alg none with a signature":   {encode(`{"alg":"none","kid":"`+key.ID()+`"}`) + "." + encode(string(claims(nil))) + ".AA", expect(), token.WrongAlgorithm},
		"HS256 with the public key":   {hs256(keys.JWKS(), key.ID()), expect(), token.WrongAlgorithm},
		"alg of another key":          {reheaded(jwt(claims(nil)), `{"alg":"RS256","kid":"`+key.ID()+`"}`), expect(), token.WrongAlgorithm},
		"alg of the same curve's kin": {reheaded(jwt(claims(nil)), `{"alg":"ES384","kid":"`+key.ID()+`"}`), expect(), token.WrongAlgorithm},
		"an unknown kid":              {reheaded(jwt(claims(nil)), `{"alg":"ES256","kid":"x"}`), expect(), token.UnknownKey},
		"kid as a number":             {reheaded(jwt(claims(nil)), `{"alg":"ES256","kid":1}`), expect(), token.Malformed},
		"typ as null":                 {reheaded(jwt(claims(nil)), `{"alg":"ES256","typ":null}`), expect(), token.Malformed},
		"alg twice":                   {reheaded(jwt(claims(nil)), `{"alg":"ES256","alg":"ES256"}`), expect(), token.Malformed},
		"jku":                         {reheaded(jwt(claims(nil)), `{"alg":"ES256","jku":"https://evil.example/jwks"}`), expect(), token.Unsupported},
		"x5u":                         {reheaded(jwt(claims(nil)), `{"alg":"ES256","x5u":"https://evil.example/cert"}`), expect(), token.Unsupported},
		"x5c":                         {reheaded(jwt(claims(nil)), `{"alg":"ES256","x5c":["x"]}`), expect(), token.Unsupported},
		"jwk":                         {reheaded(jwt(claims(nil)), `{"alg":"ES256","jwk":{"kty":"EC"}}`), expect(), token.Unsupported},
		"crit":                        {reheaded(jwt(claims(nil)), `{"alg":"ES256","crit":["exp"]}`), expect(), token.Unsupported},
	} {
		id, err := verify(c.raw, keys, c.expect)
		if token.ErrorReason(err) != c.want || (id == nil) != (err != nil) {
			t.Errorf("%s: got %v, %v; want %q", name, id, err, c.want)
		}
		if unknown, err := verify(c.raw, nil, c.expect); unknown != nil || token.ErrorReason(err) == "" {
			t.Errorf("%s: without keys: %v, %v", name, unknown, err)
		}
	}
}

// flipped changes one bit of the signature.
func flipped(raw string) string {
	at := strings.LastIndexByte(raw, '.') + 5
	c := byte('A')
	if raw[at] == c {
		c = 'B'
	}
	return raw[:at] + string(c) + raw[at+1:]
}

// reheaded replaces the header, whose signature is then wrong.
func reheaded(raw, header string) string {
	_, rest, _ := strings.Cut(raw, ".")
	return encode(header) + "." + rest
}

func hs256(secret []byte, kid string) string {
	input := encode(`{"alg":"HS256","kid":"`+kid+`","typ":"JWT"}`) + "." + encode(string(claims(nil)))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// signES256 signs under any header, with a key that has no kid.
func signES256(t *testing.T, key *ecdsa.PrivateKey, header string) string {
	t.Helper()
	input := encode(header) + "." + encode(string(claims(nil)))
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func jwkOf(key *ecdsa.PrivateKey, kid string) string {
	point, _ := key.PublicKey.Bytes()
	b := base64.RawURLEncoding.EncodeToString
	jwk := `{"kty":"EC","crv":"P-256","x":"` + b(point[1:33]) + `","y":"` + b(point[33:]) + `"`
	if kid != "" {
		jwk += `,"kid":"` + kid + `"`
	}
	return jwk + "}"
}

// TestKeyIDs: which keys are tried for a kid, or without one.
func TestKeyIDs(t *testing.T) {
	var keys []*ecdsa.PrivateKey
	for range 4 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	set := func(jwks ...string) *token.KeySet {
		parsed, _, err := token.ParseKeySet([]byte(`{"keys":[` + strings.Join(jwks, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	named := set(jwkOf(keys[0], "a"), jwkOf(keys[1], "b"))
	unnamed := set(jwkOf(keys[0], ""), jwkOf(keys[1], ""))
	four := set(jwkOf(keys[0], "a"), jwkOf(keys[1], "b"), jwkOf(keys[2], "c"), jwkOf(keys[3], "d"))
	for name, c := range map[string]struct {
		keys   *token.KeySet
		header string
		want   token.Reason
	}{
		"a kid":                       {named, `{"alg":"ES256","kid":"b"}`, ""},
		"that of another key":         {named, `{"alg":"ES256","kid":"a"}`, token.BadSignature},
		"no kid":                      {named, `{"alg":"ES256"}`, ""},
		"no kid, no typ, thumbprints": {named, `{"alg":"ES256","x5t":"x","x5t#S256":"x"}`, ""},
		"an unknown kid":              {named, `{"alg":"ES256","kid":"z"}`, token.UnknownKey},
		"a kid of unnamed keys":       {unnamed, `{"alg":"ES256","kid":"b"}`, token.UnknownKey},
		"a kid of an unnamed key":     {set(jwkOf(keys[1], "")), `{"alg":"ES256","kid":"b"}`, ""},
		"no kid of unnamed keys":      {unnamed, `{"alg":"ES256"}`, ""},
		"no kid of many":              {four, `{"alg":"ES256"}`, token.UnknownKey},
		"one of many":                 {four, `{"alg":"ES256","kid":"b"}`, ""},
	} {
		_, err := verify(signES256(t, keys[1], c.header), c.keys, expect())
		if token.ErrorReason(err) != c.want {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// TestStandIns: each algorithm has a key whose check takes its time.
func TestStandIns(t *testing.T) {
	for _, alg := range token.AcceptedAlgs() {
		header := `{"alg":"` + alg + `","kid":"x"}`
		a, err := Open(encode(header) + "." + encode(string(claims(nil))) + "." + encode(strings.Repeat("x", 256)))
		if err != nil {
			t.Fatal(err)
		}
		if _, checks, err := a.signed.Verify(standIns(), anyAlg(), 1); checks != 1 || token.ErrorReason(err) != token.BadSignature {
			t.Errorf("%s: %d checks, %v", alg, checks, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	key := newKey(f, token.ES256)
	keys := token.NewKeySet(key)
	f.Add(sign(f, key, "JWT", claims(nil)))
	f.Add(sign(f, key, "at+jwt", claims(map[string]any{"aud": []string{here}})))
	f.Add(encode(`{"alg":"none"}`) + "." + encode(`{"iss":"a"}`) + ".")
	f.Add(encode(`{"alg":"ES256","kid":"x"}`) + "." + encode(string(claims(nil))) + "." + encode(strings.Repeat("x", 64)))
	f.Fuzz(func(t *testing.T, raw string) {
		a, err := Open(raw)
		if (a == nil) != (err != nil) || err != nil && token.ErrorReason(err) == "" {
			t.Fatalf("got %v, %v", a, err)
		}
		if err != nil {
			return
		}
		if token.CheckName(a.Issuer()) != nil || token.CheckName(a.Subject()) != nil || len(raw) > MaxSize {
			t.Fatalf("accepted %q", raw)
		}
		id, err := a.Verify(keys, expect())
		if (id == nil) != (err != nil) || err != nil && token.ErrorReason(err) == "" {
			t.Fatalf("got %v, %v", id, err)
		}
		if err != nil && strings.Contains(err.Error(), raw) {
			t.Fatalf("the error holds the assertion: %v", err)
		}
		if id != nil && (id.Claims["aud"] != here || id.ID == "" || id.KeyID != key.ID()) {
			t.Fatalf("accepted %+v", id)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	key := newKey(b, token.ES256)
	keys := token.NewKeySet(key)
	raw := sign(b, key, "JWT", claims(nil))
	for name, keys := range map[string]*token.KeySet{"known": keys, "unknown": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verify(raw, keys, expect()); (err == nil) != (keys != nil) {
					b.Fatal(err)
				}
			}
		})
	}
}
