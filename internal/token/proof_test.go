package token

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func testProof() Proof {
	return Proof{ID: "JTI1", Method: "GET", URL: testAudience + "/books", IssuedAt: testNow, TokenHash: "ath", Nonce: "n"}
}

func signedProof(tb testing.TB, key *SigningKey, p Proof) string {
	tb.Helper()
	raw, err := key.SignProof(p)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func TestProofOfEachAlgorithm(t *testing.T) {
	for _, alg := range signingAlgs {
		key := testKey(t, alg)
		p, err := OpenProof(signedProof(t, key, testProof()))
		if err == nil {
			err = p.Verify()
		}
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		want := testProof()
		want.c, want.key = p.c, p.key
		if p.KeyID() != key.ID() || p.ID != want.ID || p.Method != want.Method || p.URL != want.URL || !p.IssuedAt.Equal(want.IssuedAt) ||
			p.TokenHash != want.TokenHash || p.Nonce != want.Nonce {
			t.Errorf("%s: %+v", alg, p)
		}
	}
}

// TestProofKeyID compares with the example of RFC 7638 §3.1, and with RFC 9449 §6.1, whose key is that of its proofs.
func TestProofKeyID(t *testing.T) {
	const proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik" +
		"VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR" +
		"nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE" +
		"QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj" +
		"oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z" +
		"WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNF" +
		"c05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71E" +
		"OptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	p, err := OpenProof(proof)
	if err == nil {
		err = p.Verify()
	}
	if err != nil {
		t.Fatal(err)
	}
	if p.KeyID() != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" || p.TokenHash != "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" {
		t.Errorf("%s, %+v", p.KeyID(), p)
	}
}

// proofOf signs any header and payload.
func proofOf(tb testing.TB, key *SigningKey, header, claims string) string {
	tb.Helper()
	return signedParts(tb, key, encodeBase64([]byte(header)), encodeBase64([]byte(claims)))
}

const proofClaims = `{"jti":"a","htm":"GET","htu":"https://api.example.com/books","iat":1772366400}`

// publicMembers returns the public key as a JWK, with more members.
func publicMembers(tb testing.TB, key *SigningKey, more string) string {
	tb.Helper()
	jwk, err := json.Marshal(key.public.jwk.material())
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSuffix(string(jwk), "}") + more + "}"
}

func TestProofRefuses(t *testing.T) {
	key, other, rsaKey := testKey(t, ES256), testKey(t, EdDSA), testKey(t, RS256)
	private, err := key.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	jwk := publicMembers(t, key, "")
	genuine := signedProof(t, key, testProof())
	parts := strings.Split(genuine, ".")
	header := func(members string) string { return proofOf(t, key, "{"+members+"}", proofClaims) }
	withJWK := func(jwk string) string { return header(`"typ":"dpop+jwt","alg":"ES256","jwk":` + jwk) }
	claims := func(claims string) string {
		return proofOf(t, key, `{"typ":"dpop+jwt","alg":"ES256","jwk":`+jwk+`}`, claims)
	}
	flipped, err := decodeBase64(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	flipped[10] ^= 1
	for name, test := range map[string]struct {
		raw  string
		want Reason
	}{
		"genuine":                {genuine, ""},
		"made by hand":           {withJWK(jwk), ""},
		"alg in jwk":             {withJWK(publicMembers(t, key, `,"alg":"ES256","use":"sig","key_ops":["verify"],"kid":"x"`)), ""},
		"a kid that says a lie":  {header(`"typ":"dpop+jwt","alg":"ES256","kid":"other","jwk":` + jwk), ""},
		"the long type":          {header(`"typ":"application/DPoP+JWT","alg":"ES256","jwk":` + jwk), ""},
		"more claims":            {claims(strings.Replace(proofClaims, "{", `{"sub":"x","htx":1,`, 1)), ""},
		"null in private":        {withJWK(publicMembers(t, key, `,"d":null`)), ""},
		"empty":                  {"", Malformed},
		"two":                    {genuine + "," + genuine, Malformed},
		"too large":              {claims(`{"x":"` + strings.Repeat("x", MaxProofSize) + `"}`), Malformed},
		"a large header":         {header(`"typ":"dpop+jwt","alg":"ES256","x":"` + strings.Repeat("x", maxProofHeaderSize) + `","jwk":` + jwk), Malformed},
		"no signature":           {parts[0] + "." + parts[1] + ".", Malformed},
		"another signature":      {parts[0] + "." + parts[1] + "." + encodeBase64(flipped), BadSignature},
		"zero signature":         {parts[0] + "." + parts[1] + "." + encodeBase64(make([]byte, 64)), BadSignature},
		"short signature":        {parts[0] + "." + parts[1] + "." + parts[2][:80], BadSignature},
		"unused bits":            {genuine[:len(genuine)-1] + "_", Malformed},
		"other claims":           {parts[0] + "." + encodeBase64([]byte(proofClaims)) + "." + parts[2], BadSignature},
		"no typ":                 {header(`"alg":"ES256","jwk":` + jwk), WrongType},
		"typ of a token":         {header(`"typ":"at+jwt","alg":"ES256","jwk":` + jwk), WrongType},
		"typ JWT":                {header(`"typ":"JWT","alg":"ES256","jwk":` + jwk), WrongType},
		"no alg":                 {header(`"typ":"dpop+jwt","jwk":` + jwk), Malformed},
		"none":                   {header(`"typ":"dpop+jwt","alg":"none","jwk":` + jwk), WrongAlgorithm},
		"symmetric":              {header(`"typ":"dpop+jwt","alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}`), WrongAlgorithm},
		"a symmetric key":        {withJWK(`{"kty":"oct","k":"AAAA"}`), BadKey},
		"a symmetric kty":        {withJWK(`{"kty":"oct"}`), BadKey},
		"a private key":          {withJWK(string(private)), BadKey},
		"a private member":       {withJWK(publicMembers(t, key, `,"d":""`)), BadKey},
		"no key":                 {header(`"typ":"dpop+jwt","alg":"ES256","kid":"a"`), BadKey},
		"a null key":             {withJWK("null"), BadKey},
		"an empty key":           {withJWK("{}"), BadKey},
		"a key as text":          {withJWK(`"x"`), BadKey},
		"keys":                   {withJWK("[" + jwk + "]"), BadKey},
		"a member twice":         {withJWK(publicMembers(t, key, `,"kty":"EC"`)), Malformed},
		"two keys":               {header(`"typ":"dpop+jwt","alg":"ES256","jwk":` + jwk + `,"jwk":` + jwk), Malformed},
		"a key for encryption":   {withJWK(publicMembers(t, key, `,"use":"enc"`)), BadKey},
		"a key to sign":          {withJWK(publicMembers(t, key, `,"key_ops":["sign"]`)), BadKey},
		"padded":                 {withJWK(strings.Replace(jwk, `","y"`, `=","y"`, 1)), BadKey},
		"not on the curve":       {withJWK(`{"kty":"EC","crv":"P-256","x":"` + encodeBase64(make([]byte, 32)) + `","y":"` + encodeBase64(make([]byte, 32)) + `"}`), BadKey},
		"another curve":          {withJWK(strings.Replace(jwk, "P-256", "P-384", 1)), BadKey},
		"another type of key":    {withJWK(publicMembers(t, other, "")), BadKey},
		"alg of another type":    {header(`"typ":"dpop+jwt","alg":"EdDSA","jwk":` + jwk), BadKey},
		"another alg in jwk":     {withJWK(publicMembers(t, key, `,"alg":"ES384"`)), WrongAlgorithm},
		"another key":            {proofOf(t, other, `{"typ":"dpop+jwt","alg":"ES256","jwk":`+jwk+`}`, proofClaims), BadSignature},
		"PS256 by an RS256 key":  {proofOf(t, rsaKey, `{"typ":"dpop+jwt","alg":"PS256","jwk":`+publicMembers(t, rsaKey, "")+`}`, proofClaims), BadSignature},
		"a small RSA key":        {header(`"typ":"dpop+jwt","alg":"RS256","jwk":{"kty":"RSA","e":"AQAB","n":"` + encodeBase64([]byte(strings.Repeat("\xff", 128))) + `"}`), BadKey},
		"crit":                   {header(`"typ":"dpop+jwt","alg":"ES256","crit":["b64"],"b64":false,"jwk":` + jwk), Unsupported},
		"jku":                    {header(`"typ":"dpop+jwt","alg":"ES256","jku":"https://a.example","jwk":` + jwk), Unsupported},
		"x5c":                    {header(`"typ":"dpop+jwt","alg":"ES256","x5c":["x"],"jwk":` + jwk), Unsupported},
		"a nested token":         {header(`"typ":"dpop+jwt","alg":"ES256","cty":"JWT","jwk":` + jwk), Unsupported},
		"no jti":                 {claims(strings.Replace(proofClaims, "jti", "j", 1)), BadClaims},
		"an empty jti":           {claims(strings.Replace(proofClaims, `"a"`, `""`, 1)), BadClaims},
		"a long jti":             {claims(strings.Replace(proofClaims, `"a"`, `"`+strings.Repeat("a", maxTextSize+1)+`"`, 1)), BadClaims},
		"a jti that is a number": {claims(strings.Replace(proofClaims, `"a"`, `1`, 1)), BadClaims},
		"no htm":                 {claims(strings.Replace(proofClaims, "htm", "h", 1)), BadClaims},
		"no htu":                 {claims(strings.Replace(proofClaims, "htu", "h", 1)), BadClaims},
		"htu as a list":          {claims(strings.Replace(proofClaims, `"https://api.example.com/books"`, `["https://api.example.com/books"]`, 1)), BadClaims},
		"no iat":                 {claims(strings.Replace(proofClaims, "iat", "i", 1)), BadClaims},
		"an iat as text":         {claims(strings.Replace(proofClaims, `1772366400`, `"1772366400"`, 1)), BadClaims},
		"iat beyond time":        {claims(strings.Replace(proofClaims, `1772366400`, `1e300`, 1)), BadClaims},
		"ath as a number":        {claims(strings.Replace(proofClaims, "{", `{"ath":1,`, 1)), BadClaims},
		"an empty nonce":         {claims(strings.Replace(proofClaims, "{", `{"nonce":"",`, 1)), BadClaims},
		"a repeated claim":       {claims(strings.Replace(proofClaims, "{", `{"jti":"b",`, 1)), Malformed},
		"claims as a list":       {claims("[]"), Malformed},
	} {
		p, err := OpenProof(test.raw)
		if err == nil {
			err = p.Verify()
		}
		if got := ErrorReason(err); got != test.want || (err == nil) != (test.want == "") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// TestOnlyAProofHasItsKey: where a proof is not expected, a key in the header stays refused.
func TestOnlyAProofHasItsKey(t *testing.T) {
	key := testKey(t, ES256)
	raw := signedProof(t, key, testProof())
	_, err := Verify(raw, NewKeySet(key), testExpect())
	wantReason(t, err, Unsupported)
	_, err = VerifyStatement(raw, ProofType, MaxTokenSize, NewKeySet(key))
	wantReason(t, err, Unsupported)
	_, err = OpenProof(signed(t, key, testMint()))
	wantReason(t, err, WrongType)
}

func TestProofAlgs(t *testing.T) {
	algs := ProofAlgs()
	if algs[0] != "ES256" || len(algs) != len(algorithms)+1 || slices.Contains(algs, "none") || slices.Contains(algs, "HS256") {
		t.Error(algs)
	}
	if _, err := ParseAcceptedAlgs(algs); err != nil {
		t.Error(err)
	}
}

// FuzzOpenProof: a proof whose signature is right is the genuine one, and no error has a text of the proof.
func FuzzOpenProof(f *testing.F) {
	key := fuzzKey(f)
	genuine := signedProof(f, key, testProof())
	parts := strings.Split(genuine, ".")
	header, _ := decodeBase64(parts[0])
	claims, _ := decodeBase64(parts[1])
	f.Add(string(header), string(claims))
	f.Add(`{"typ":"dpop+jwt","alg":"ES256","jwk":{"kty":"oct","k":"AA"}}`, proofClaims)
	f.Add(`{"typ":"dpop+jwt","alg":"none","jwk":null}`, `{}`)
	f.Fuzz(func(t *testing.T, header, claims string) {
		raw := proofOf(t, key, header, claims)
		p, err := OpenProof(raw)
		if err == nil {
			err = p.Verify()
		}
		if err != nil {
			if ErrorReason(err) == "" || strings.ContainsAny(err.Error(), "\"\\\n\r") {
				t.Fatalf("error %q", err)
			}
			return
		}
		if p.KeyID() != key.ID() || p.ID == "" || p.Method == "" || p.URL == "" || p.IssuedAt.IsZero() {
			t.Fatalf("accepted %q %q", header, claims)
		}
	})
}

// TestProofKeysChangeNothing: what is known of a header is what reading it finds.
func TestProofKeysChangeNothing(t *testing.T) {
	key, other := testKey(t, ES256), testKey(t, EdDSA)
	keys := NewProofKeys()
	open := func(raw string) (*Proof, error) {
		p, err := keys.Open(raw)
		if err == nil {
			err = p.Verify()
		}
		return p, err
	}
	genuine := signedProof(t, key, testProof())
	for _, raw := range []string{genuine, signedProof(t, other, testProof())} {
		for n := range 3 {
			p, err := open(raw)
			if err != nil || p.known != (n > 0) {
				t.Fatalf("%d: known %t, %v", n, p.known, err)
			}
			keys.Keep(p, "ci-bot")
		}
	}
	p, err := open(signedProof(t, key, testProof()))
	if err != nil || !p.known || p.KeyID() != key.ID() {
		t.Errorf("another proof of the key: %v", err)
	}
	parts := strings.Split(genuine, ".")
	for raw, want := range map[string]Reason{
		parts[0] + "." + encodeBase64([]byte(proofClaims)) + "." + parts[2]: BadSignature,
		parts[0] + "." + parts[1] + ".":                                     Malformed,
		parts[0] + "..":                                                     Malformed,
		parts[0]:                                                            Malformed,
		parts[0] + "." + encodeBase64([]byte("{}")) + "." + parts[2]: BadClaims,
		genuine + strings.Repeat("A", MaxProofSize):                  Malformed,
	} {
		_, err := open(raw)
		wantReason(t, err, want)
	}
}

func BenchmarkProof(b *testing.B) {
	raw, keys := signedProof(b, testKey(b, ES256), testProof()), NewProofKeys()
	for name, open := range map[string]func(string) (*Proof, error){"first": OpenProof, "known": keys.Open} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p, err := open(raw)
				if err == nil {
					err = p.Verify()
				}
				if err != nil {
					b.Fatal(err)
				}
				keys.Keep(p, "ci-bot")
			}
		})
	}
}
