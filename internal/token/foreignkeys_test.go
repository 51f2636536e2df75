package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"strings"
	"testing"
)

// parsedKeys reads a set of keys.
func parsedKeys(t *testing.T, keys ...string) *KeySet {
	t.Helper()
	set, _, err := ParseKeySet([]byte(`{"keys":[` + strings.Join(keys, ",") + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// signedAs signs the test's claims under any header, with the alg of the key.
func signedAs(t *testing.T, key *SigningKey, kid string) string {
	t.Helper()
	header := fmt.Sprintf(`{"alg":%q,"typ":"at+jwt"`, key.Alg())
	if kid != "" {
		header += `,"kid":` + string(mustJSON(t, kid))
	}
	return signedHeader(t, key, header+"}")
}

// signedRSA signs the test's claims with an RSA key under any algorithm.
func signedRSA(t *testing.T, alg Alg, kid string) string {
	t.Helper()
	private, err := rawPrivate(testKey(t, RS256).private())
	if err != nil {
		t.Fatal(err)
	}
	input := encodeBase64(fmt.Appendf(nil, `{"alg":%q,"kid":%q,"typ":"at+jwt"}`, alg, kid)) + "." + encodeBase64(claimsOf(t, testMint()))
	var digest []byte
	var hash crypto.Hash
	switch alg[2:] {
	case "256":
		sum := sha256.Sum256([]byte(input))
		digest, hash = sum[:], crypto.SHA256
	case "384":
		sum := sha512.Sum384([]byte(input))
		digest, hash = sum[:], crypto.SHA384
	default:
		sum := sha512.Sum512([]byte(input))
		digest, hash = sum[:], crypto.SHA512
	}
	var opts crypto.SignerOpts = hash
	if alg[0] == 'P' {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	sig, err := private.Sign(rand.Reader, digest, opts)
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encodeBase64(sig)
}

// TestKeysUnderOneKid: what cannot verify is dropped first, identical keys are merged, and kid and alg choose (RFC 7517 §4.5).
// Keycloak publishes such sets.
func TestKeysUnderOneKid(t *testing.T) {
	ec, ed, rs := testKey(t, ES256), testKey(t, EdDSA), testKey(t, RS256)
	second, err := GenerateKey(ES256)
	if err != nil {
		t.Fatal(err)
	}
	jwk := func(key *SigningKey, changes map[string]any) string { return jwkOf(t, key, "same", changes) }
	encryption := jwk(rs, map[string]any{"use": "enc", "alg": "RSA-OAEP"})
	for name, test := range map[string]struct {
		keys []string
		len  int
		good []*SigningKey
		bad  map[*SigningKey]Reason
	}{
		"for encryption first":     {[]string{encryption, jwk(ec, nil)}, 1, []*SigningKey{ec}, map[*SigningKey]Reason{ed: WrongAlgorithm, second: BadSignature}},
		"for encryption last":      {[]string{jwk(ec, nil), encryption}, 1, []*SigningKey{ec}, nil},
		"one key for both uses":    {[]string{encryption, jwk(rs, map[string]any{"x5c": []string{"MIIB"}})}, 1, []*SigningKey{rs}, nil},
		"the same key twice":       {[]string{jwk(ec, nil), jwk(ec, map[string]any{"use": nil, "alg": nil, "x5t": "a"})}, 1, []*SigningKey{ec}, nil},
		"RSA and EC":               {[]string{jwk(rs, nil), jwk(ec, nil)}, 2, []*SigningKey{rs, ec}, map[*SigningKey]Reason{ed: WrongAlgorithm}},
		"two of one algorithm":     {[]string{jwk(ec, nil), jwk(second, nil)}, 2, []*SigningKey{ec, second}, nil},
		"RSA of two algorithms":    {[]string{jwk(rs, map[string]any{"alg": "RS512"}), jwk(rs, nil)}, 2, []*SigningKey{rs}, nil},
		"a weak one":               {[]string{jwk(rs, map[string]any{"n": rsaModulus(1024)}), jwk(rs, nil)}, 1, []*SigningKey{rs}, nil},
		"one of an unknown kind":   {[]string{`{"kty":"AKP","kid":"same","alg":"ML-DSA-44","pub":"AAAA"}`, jwk(ed, nil)}, 1, []*SigningKey{ed}, nil},
		"one of an unknown curve":  {[]string{`{"kty":"OKP","kid":"same","alg":"EdDSA","crv":"Ed448","x":"AAAA"}`, jwk(ed, nil)}, 1, []*SigningKey{ed}, nil},
		"another's private key":    {[]string{jwk(second, map[string]any{"d": second.private().D}), jwk(ec, nil)}, 1, []*SigningKey{ec}, map[*SigningKey]Reason{second: BadSignature}},
		"a modulus in two forms":   {[]string{jwk(rs, map[string]any{"n": rs.public.jwk.N + "=="}), jwk(rs, nil)}, 1, []*SigningKey{rs}, nil},
		"a key whose kid is no id": {[]string{jwk(rs, map[string]any{"kid": 7}), jwk(ed, nil)}, 1, []*SigningKey{ed}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			set := parsedKeys(t, test.keys...)
			if set.Len() != test.len || !set.Has("same") || !set.HasFor("same") {
				t.Errorf("%d keys: %s", set.Len(), set.JWKS())
			}
			for _, key := range test.good {
				if _, err := Verify(signedAs(t, key, "same"), set, testExpect()); err != nil {
					t.Errorf("%s: %v", key, err)
				}
			}
			for key, reason := range test.bad {
				_, err := Verify(signedAs(t, key, "same"), set, testExpect())
				wantReason(t, err, reason)
			}
		})
	}
}

// TestPublishedPrivateKey: a key that is also published with its private part does not count, in either place.
func TestPublishedPrivateKey(t *testing.T) {
	leaked, good := testKey(t, ES256), jwkOf(t, testKey(t, EdDSA), "good", nil)
	private := jwkOf(t, leaked, "a", map[string]any{"d": leaked.private().D})
	padded := jwkOf(t, leaked, "a", map[string]any{"d": leaked.private().D, "x": leaked.public.jwk.X + "="})
	for _, keys := range [][]string{
		{private, jwkOf(t, leaked, "b", nil), good}, {jwkOf(t, leaked, "a", nil), private, good}, {padded, jwkOf(t, leaked, "b", nil), good},
	} {
		set, skipped, err := ParseKeySet([]byte(`{"keys":[` + strings.Join(keys, ",") + `]}`))
		if err != nil || set.Len() != 1 || !set.Has("good") || len(skipped) != 2 {
			t.Errorf("%v, %v, %v", set, skipped, err)
		}
	}
}

// TestKeysWithoutKid: kid is optional in a key and in a token (RFC 7517 §4.5, RFC 7515 §4.1.4).
func TestKeysWithoutKid(t *testing.T) {
	ec, ed := testKey(t, ES256), testKey(t, EdDSA)
	none := map[string]any{"kid": nil}
	unnamed, named := parsedKeys(t, jwkOf(t, ec, "", none), jwkOf(t, ed, "", none)), parsedKeys(t, jwkOf(t, ec, "a", nil), jwkOf(t, ed, "b", nil))
	mixed := parsedKeys(t, jwkOf(t, ec, "a", nil), jwkOf(t, ed, "", none))
	for name, test := range map[string]struct {
		raw    string
		keys   *KeySet
		reason Reason
	}{
		"neither has one":              {signedAs(t, ec, ""), unnamed, ""},
		"neither has one, other type":  {signedAs(t, ed, ""), unnamed, ""},
		"an empty one":                 {signedHeader(t, ed, `{"alg":"EdDSA","kid":"","typ":"at+jwt"}`), unnamed, ""},
		"the token has none":           {signedAs(t, ec, ""), named, ""},
		"the keys have none":           {signedAs(t, ec, "a"), unnamed, ""},
		"another key has the kid":      {signedAs(t, ed, "a"), mixed, WrongAlgorithm},
		"a thumbprint":                 {signedAs(t, ed, ed.ID()), unnamed, ""},
		"of no algorithm of a key":     {signedRSA(t, RS256, ""), unnamed, WrongAlgorithm},
		"of another key":               {signedAs(t, ec, "b"), parsedKeys(t, jwkOf(t, ed, "b", nil)), WrongAlgorithm},
		"a kid that no key has":        {signedAs(t, ec, "c"), named, UnknownKey},
		"no keys at all":               {signedAs(t, ec, ""), nil, UnknownKey},
		"a kid that is never a key's":  {signedAs(t, ec, missingKey), unnamed, UnknownKey},
		"by a key that is not the set": {signedAs(t, ec, ""), parsedKeys(t, jwkOf(t, otherKey(t), "", none)), BadSignature},
	} {
		expect := testExpect()
		_, err := Verify(test.raw, test.keys, expect)
		if strings.HasPrefix(name, "neither") || name == "the token has none" {
			wantReason(t, err, UnknownKey) // by default
		}
		expect.NoKeyID = true
		_, err = Verify(test.raw, test.keys, expect)
		if ErrorReason(err) != test.reason {
			t.Errorf("%s: %v, want %q", name, err, test.reason)
		}
	}
	if !unnamed.Has(ec.ID()) || named.Has(ec.ID()) {
		t.Error("a key without a kid is known by its thumbprint, others are not")
	}
	if gone, err := KeyWithdrawn(ec.ID(), parsedKeys(t, jwkOf(t, ed, "", none)), nil); err != nil || !gone {
		t.Error("a key without a kid was withdrawn, and counts as if it were there")
	}
}

// TestWithdrawnUnderSharedKid: a key was withdrawn although another key has its kid, beside it or in its place.
func TestWithdrawnUnderSharedKid(t *testing.T) {
	first, second := testKey(t, ES256), otherKey(t)
	both := parsedKeys(t, jwkOf(t, first, "same", nil), jwkOf(t, second, "same", nil))
	verified, err := newVerifier(testExpect()).Verify(signedAs(t, first, "same"), fixedKeys(both))
	if err != nil || !both.HasFor(verified.KeyID()) {
		t.Fatalf("%v, %q", err, verified.KeyID())
	}
	for keys, withdrawn := range map[*KeySet]bool{
		both: false, parsedKeys(t, jwkOf(t, first, "other", nil)): false, parsedKeys(t, jwkOf(t, second, "same", nil)): true, nil: true,
	} {
		if got, err := KeyWithdrawn(verified.KeyID(), keys, nil); err != nil || got != withdrawn {
			t.Errorf("%s: %t, %v", keys.JWKS(), got, err)
		}
	}
	_, err = Verify(signedAs(t, first, first.ID()), both, testExpect())
	wantReason(t, err, UnknownKey)    // its kid is another
	for _, alg := range signingAlgs { // feeds name revoked keys by kid
		if key := testKey(t, alg); key.public.print != key.ID() {
			t.Errorf("%s: the thumbprint %s is not the kid %s", alg, key.public.print, key.ID())
		}
	}
}

// TestWithThumbprints: a thumbprint names a key that has a kid, unless it is the kid of another key.
func TestWithThumbprints(t *testing.T) {
	first, second := testKey(t, ES256), otherKey(t)
	keys := parsedKeys(t, jwkOf(t, first, "a", nil), jwkOf(t, second, "b", nil))
	raw := signedAs(t, first, first.ID())
	_, err := Verify(raw, keys, testExpect())
	wantReason(t, err, UnknownKey)
	if _, err = Verify(raw, keys.WithThumbprints(), testExpect()); err != nil {
		t.Error(err)
	}
	_, err = Verify(signedAs(t, second, first.ID()), keys.WithThumbprints(), testExpect())
	wantReason(t, err, BadSignature)
	_, err = Verify(raw, parsedKeys(t, jwkOf(t, first, "a", nil), jwkOf(t, second, first.ID(), nil)).WithThumbprints(), testExpect())
	wantReason(t, err, BadSignature)
	if got := (*KeySet)(nil).WithThumbprints(); got != nil {
		t.Errorf("no keys became %v", got)
	}
}

func otherKey(t *testing.T) *SigningKey {
	t.Helper()
	key, err := GenerateKey(ES256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestManyKeysWithoutKid: the number of signature checks that one token causes is bounded.
func TestManyKeysWithoutKid(t *testing.T) {
	expect := testExpect()
	expect.NoKeyID = true
	last := otherKey(t)
	keys := []string{jwkOf(t, last, "", nil)}
	for len(keys) < maxCandidates {
		keys = append(keys, jwkOf(t, otherKey(t), "", nil))
	}
	if _, err := Verify(signedAs(t, last, ""), parsedKeys(t, keys...), expect); err != nil {
		t.Error(err)
	}
	keys = append(keys, jwkOf(t, otherKey(t), "named", nil))
	_, err := Verify(signedAs(t, last, ""), parsedKeys(t, keys...), expect)
	wantReason(t, err, UnknownKey)
}

// TestEd25519ByItsNewName: RFC 9864 names the algorithm Ed25519.
func TestEd25519ByItsNewName(t *testing.T) {
	key := testKey(t, EdDSA)
	for _, alg := range []any{"EdDSA", "Ed25519", nil} {
		set := parsedKeys(t, jwkOf(t, key, "a", map[string]any{"alg": alg}))
		for _, algs := range [][]Alg{nil, {EdDSA}} {
			expect := testExpect()
			expect.Algs = algs
			for _, name := range []string{"EdDSA", "Ed25519"} {
				if _, err := Verify(signedHeader(t, key, `{"alg":"`+name+`","kid":"a","typ":"at+jwt"}`), set, expect); err != nil {
					t.Errorf("key %v, token %s: %v", alg, name, err)
				}
			}
			_, err := Verify(signedHeader(t, key, `{"alg":"Ed448","kid":"a","typ":"at+jwt"}`), set, expect)
			wantReason(t, err, WrongAlgorithm)
		}
	}
}

// TestAcceptedAlgs: an RSA key that does not name its algorithm verifies RS256, or those that the verifier names. A key that
// names one verifies no other.
func TestAcceptedAlgs(t *testing.T) {
	rsaAlgs := []Alg{RS256, RS384, RS512, PS256, PS384, PS512}
	key := testKey(t, RS256)
	open := parsedKeys(t, jwkOf(t, key, "a", map[string]any{"alg": nil}))
	for _, accepted := range [][]Alg{nil, {RS256}, {PS256}, {RS384}, {RS512, ES256}, {PS384, PS512}, rsaAlgs, {ES256}} {
		expect := testExpect()
		expect.Algs = accepted
		for _, alg := range rsaAlgs {
			want := Reason("")
			if accepted == nil && alg != RS256 || accepted != nil && !strings.Contains(fmt.Sprint(accepted), string(alg)) {
				want = WrongAlgorithm
			}
			if _, err := Verify(signedRSA(t, alg, "a"), open, expect); ErrorReason(err) != want {
				t.Errorf("%v, %s: %v", accepted, alg, err)
			}
			set := parsedKeys(t, jwkOf(t, key, "a", map[string]any{"alg": "PS256"}))
			if _, err := Verify(signedRSA(t, alg, "a"), set, expect); (err == nil) != (alg == PS256 && (accepted == nil || want == "")) {
				t.Errorf("%v, %s by a key for PS256: %v", accepted, alg, err)
			}
		}
	}
	for _, name := range []string{"", "none", "HS256", "ES256K", "Ed448", "rs256"} {
		if _, err := ParseAcceptedAlgs([]string{"RS256", name}); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
	if algs, err := ParseAcceptedAlgs([]string{"Ed25519", "RS384"}); err != nil || fmt.Sprint(algs) != "[EdDSA RS384]" {
		t.Errorf("%v, %v", algs, err)
	}
}

// TestIgnoredParams: by option, a header may say where the key is. Nothing reads that.
func TestIgnoredParams(t *testing.T) {
	key := testKey(t, ES256)
	keys := NewKeySet(key)
	chain := `"` + strings.Repeat("MIIB", 600) + `"`
	for param, value := range map[string]string{"jku": `"https://evil.example.com/jwks"`, "x5u": "7", "x5c": "[" + chain + "]", "jwk": "{}", "crit": "[]"} {
		raw := signedHeader(t, key, fmt.Sprintf(`{"alg":"ES256","kid":%q,"typ":"at+jwt",%q:%s}`, key.ID(), param, value))
		expect := testExpect()
		_, err := Verify(raw, keys, expect)
		if reason := ErrorReason(err); reason != Unsupported && !(param == "x5c" && reason == Malformed) {
			t.Errorf("%s by default: %v", param, err)
		}
		expect.IgnoreParams = []string{"jku", "x5u", "x5c"}
		_, err = Verify(raw, keys, expect)
		if wanted := param[0] == 'x' || param == "jku"; (err == nil) != wanted {
			t.Errorf("%s: %v", param, err)
		}
		other := testExpect()
		other.Issuer = "https://other.example.com"
		_, err = newVerifier(other, expect).Verify(raw, fixedKeys(keys))
		if (err == nil) != (param[0] == 'x' || param == "jku") {
			t.Errorf("%s, of the second issuer: %v", param, err)
		}
		other, expect = expect, testExpect()
		other.Issuer = "https://other.example.com"
		asked := 0
		_, err = newVerifier(other, expect).Verify(raw, func(string, string) (*KeySet, error) { asked++; return keys, nil })
		if err == nil || asked != 0 {
			t.Errorf("%s, where only the other issuer allows it: %v, keys asked for %d times", param, err, asked)
		}
		if err := (Expect{IgnoreParams: []string{param}}).Check(); (err == nil) != (param[0] == 'x' || param == "jku") {
			t.Errorf("%s: %v", param, err)
		}
	}
}

// TestVerifierLooksForNewerKeys: without a kid, only the signature shows that a key is missing.
func TestVerifierLooksForNewerKeys(t *testing.T) {
	older, newer := otherKey(t), otherKey(t)
	none := map[string]any{"kid": nil}
	old, both := parsedKeys(t, jwkOf(t, older, "", none)), parsedKeys(t, jwkOf(t, older, "", none), jwkOf(t, newer, "", none))
	expect := testExpect()
	expect.NoKeyID = true
	v := newVerifier(expect)
	var asked []string
	verified, err := v.Verify(signedAs(t, newer, ""), func(_, kid string) (*KeySet, error) {
		if asked = append(asked, kid); kid == missingKey {
			return both, nil
		}
		return old, nil
	})
	if err != nil || verified.KeyID() != newer.ID() || len(asked) != 2 || old.HasFor(missingKey) || !old.HasFor("") {
		t.Errorf("%v, %q, asked %q", err, verified.KeyID(), asked)
	}
	named := parsedKeys(t, jwkOf(t, older, "", none), jwkOf(t, newer, "new", nil))
	asked = nil
	_, err = v.Verify(signedAs(t, newer, "new"), func(_, kid string) (*KeySet, error) {
		if asked = append(asked, kid); kid == missingKey {
			return named, nil
		}
		return old, nil
	})
	if err != nil || len(asked) != 2 {
		t.Errorf("a new key with a kid beside one without: %v, asked %q", err, asked)
	}
	asked = nil
	_, err = v.Verify(signedAs(t, newer, "old"), func(_, kid string) (*KeySet, error) {
		asked = append(asked, kid)
		return parsedKeys(t, jwkOf(t, older, "old", nil)), nil
	})
	if wantReason(t, err, BadSignature); len(asked) != 1 {
		t.Errorf("a forged token of a known kid has keys looked up: %q", asked)
	}
	v.Remember(verified)
	if again, err := v.Verify(signedAs(t, newer, ""), fixedKeys(old)); err == nil {
		t.Errorf("by a key that is gone: %v", again)
	}
	fault := fmt.Errorf("no answer")
	_, err = v.Verify(signedAs(t, newer, ""), func(_, kid string) (*KeySet, error) {
		if kid == missingKey {
			return nil, fault
		}
		return old, nil
	})
	if err != fault {
		t.Errorf("while that is not known: %v", err)
	}
}

// TestNumbersInOtherEncodings: other encodings of the numbers of a key are the same key. Java's BigInteger keeps a sign byte.
func TestNumbersInOtherEncodings(t *testing.T) {
	signedForm := func(text string, zeros int) string {
		number, err := decodeBase64(text)
		if err != nil {
			t.Fatal(err)
		}
		return encodeBase64(append(make([]byte, zeros), number...))
	}
	ec, ed, rs := testKey(t, ES256), testKey(t, EdDSA), testKey(t, RS256)
	short := shortKey(t)
	for name, test := range map[string]struct {
		key     *SigningKey
		changes map[string]any
	}{
		"RSA with a sign byte":         {rs, map[string]any{"n": signedForm(rs.public.jwk.N, 1), "e": signedForm(rs.public.jwk.E, 1)}},
		"RSA with a sign byte, padded": {rs, map[string]any{"n": signedForm(rs.public.jwk.N, 1) + "="}},
		"RSA padded":                   {rs, map[string]any{"n": rs.public.jwk.N + "=="}},
		"EC with a sign byte":          {ec, map[string]any{"x": signedForm(ec.public.jwk.X, 1), "y": signedForm(ec.public.jwk.Y, 1)}},
		"EC padded":                    {ec, map[string]any{"x": ec.public.jwk.X + "=", "y": ec.public.jwk.Y + "="}},
		"EC without leading zeros":     {short, map[string]any{"x": canonicalUint(short.public.jwk.X, 0)}},
		"Ed25519 padded":               {ed, map[string]any{"x": ed.public.jwk.X + "="}},
	} {
		set, skipped, err := ParseKeySet([]byte(`{"keys":[` + jwkOf(t, test.key, test.key.ID(), test.changes) + `]}`))
		if err != nil || len(skipped) > 0 || string(set.JWKS()) != string(NewKeySet(test.key).JWKS()) {
			t.Errorf("%s: %v, %v, %s", name, skipped, err, set.JWKS())
			continue
		}
		if _, err := Verify(signed(t, test.key, testMint()), set, testExpect()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// shortKey makes a key whose x begins with a zero byte.
func shortKey(t *testing.T) *SigningKey {
	t.Helper()
	for {
		if key := otherKey(t); canonicalUint(key.public.jwk.X, 0) != key.public.jwk.X {
			return key
		}
	}
}

// TestCurvesOfKeysWithoutAlg: the curve of a key says which algorithm it is for.
func TestCurvesOfKeysWithoutAlg(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x, y := encodeBase64(point[1:49]), encodeBase64(point[49:])
	set := parsedKeys(t, fmt.Sprintf(`{"kty":"EC","crv":"P-384","x":%q,"y":%q}`, x, y))
	if key := set.keys[0]; key.alg != ES384 || key.takes(ES256, nil) || key.takes(ES256, []Alg{ES256, ES384}) || !key.takes(ES384, nil) {
		t.Errorf("taken for %s", key.alg)
	}
}
