package token

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const otherIssuer = "https://login.example.org"

// twoIssuers are a Verifier of two, with a key each.
func twoIssuers(t *testing.T) (v *Verifier, ours, theirs *SigningKey, keysFor KeysFor, asked *[]string) {
	t.Helper()
	ours, theirs = testKey(t, ES256), testKey(t, EdDSA)
	sets := map[string]*KeySet{testIssuer: NewKeySet(ours), otherIssuer: NewKeySet(theirs)}
	other := testExpect()
	other.Issuer = otherIssuer
	asked = new([]string)
	return newVerifier(testExpect(), other), ours, theirs, func(issuer, _ string) (*KeySet, error) {
		*asked = append(*asked, issuer)
		return sets[issuer], nil
	}, asked
}

func TestVerifierChoosesByIssuer(t *testing.T) {
	v, ours, theirs, keysFor, asked := twoIssuers(t)
	of := func(issuer string) Mint {
		m := testMint()
		m.Issuer = issuer
		return m
	}
	for name, c := range map[string]struct {
		raw    string
		reason Reason
		asked  string // whose keys; "" is that none were
	}{
		"ours":                     {signed(t, ours, of(testIssuer)), "", testIssuer},
		"theirs":                   {signed(t, theirs, of(otherIssuer)), "", otherIssuer},
		"ours with their key":      {signed(t, theirs, of(testIssuer)), UnknownKey, testIssuer},
		"theirs with our key":      {signed(t, ours, of(otherIssuer)), UnknownKey, otherIssuer},
		"a stranger's":             {signed(t, ours, of("https://evil.example.com")), WrongIssuer, ""},
		"one with a slash":         {signed(t, ours, of(testIssuer+"/")), WrongIssuer, ""},
		"in capitals":              {signed(t, ours, of(strings.ToUpper(testIssuer))), WrongIssuer, ""},
		"without iss":              {signedClaims(t, ours, testClaims(t, map[string]any{"iss": nil})), BadClaims, ""},
		"iss is a list":            {signedClaims(t, ours, testClaims(t, map[string]any{"iss": []string{testIssuer}})), BadClaims, ""},
		"iss twice":                {signedClaims(t, ours, strings.Replace(testClaims(t, nil), "{", `{"iss":"`+otherIssuer+`",`, 1)), Malformed, ""},
		"payload is not an object": {signedClaims(t, ours, `["iss"]`), Malformed, ""},
		"payload spelt otherwise":  {signedParts(t, ours, encodeBase64([]byte(`{"alg":"ES256","kid":"a","typ":"at+jwt"}`)), "e31"), Malformed, ""},
		"header with jku":          {signedHeader(t, ours, `{"alg":"ES256","kid":"a","typ":"at+jwt","jku":"x"}`), Unsupported, ""},
		"no token":                 {"x", Malformed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second time it may be remembered
				*asked = nil
				claims, err := v.Verify(c.raw, keysFor)
				wantReason(t, err, c.reason)
				if err == nil && claims.Issuer != c.asked {
					t.Errorf("verified as of %s", claims.Issuer)
				}
				if slices.Contains(*asked, "") || strings.Join(slices.Compact(*asked), " ") != c.asked {
					t.Errorf("asked for the keys of %q, want %q", *asked, c.asked)
				}
			}
		})
	}
}

// TestVerifierOfSeveralRemembersWhoseATokenIs: a remembered token is judged by the rules of its own issuer.
func TestVerifierOfSeveralRemembersWhoseATokenIs(t *testing.T) {
	key := testKey(t, ES256)
	keys := NewKeySet(key)
	other := testExpect()
	other.Issuer, other.Audiences = otherIssuer, []string{"https://else.example.com"}
	v := newVerifier(testExpect(), other)
	m := testMint()
	m.Issuer = otherIssuer
	for range 2 {
		_, err := v.Verify(signed(t, key, m), fixedKeys(keys))
		wantReason(t, err, WrongAudience)
		_, err = v.Verify(signed(t, key, testMint()), fixedKeys(keys))
		wantReason(t, err, "")
	}
	fault := errors.New("no keys")
	if _, err := v.Verify(signed(t, key, m), func(string, string) (*KeySet, error) { return nil, fault }); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
}

// allButAud is what may be missing without a list of clients.
var allButAud = []string{"sub", "client_id", "jti", "iat", "typ"}

func TestQuirks(t *testing.T) {
	key := testKey(t, ES256)
	keys := NewKeySet(key)
	header := func(typ string) string {
		if typ == "none" {
			return encodeBase64([]byte(`{"alg":"ES256","kid":"` + key.ID() + `"}`))
		}
		return encodeBase64([]byte(`{"alg":"ES256","kid":"` + key.ID() + `","typ":"` + typ + `"}`))
	}
	for name, c := range map[string]struct {
		typ     string
		changes map[string]any
		expect  func(*Expect)
		reason  Reason
		scope   string // of the claims
		client  string
	}{
		"typ JWT":                 {typ: "JWT", expect: func(e *Expect) { e.Types = []string{"JWT"} }, scope: "book:*:read book:1:edit", client: "ci-bot"},
		"typ JWT, strict":         {typ: "JWT", reason: WrongType},
		"no typ":                  {typ: "none", expect: func(e *Expect) { e.AllowMissing = []string{"typ"} }, scope: "book:*:read book:1:edit", client: "ci-bot"},
		"no typ, strict":          {typ: "none", expect: func(e *Expect) { e.AllowMissing = []string{"jti"} }, reason: WrongType},
		"another typ":             {typ: "JWT", expect: func(e *Expect) { e.AllowMissing = []string{"typ"} }, reason: WrongType},
		"typ at+jwt is not JWT":   {expect: func(e *Expect) { e.Types = []string{"JWT"} }, reason: WrongType},
		"scp a list":              {changes: map[string]any{"scp": []string{"book:*:read", "film:*:read"}}, expect: func(e *Expect) { e.ScopeClaim = "scp" }, scope: "book:*:read film:*:read", client: "ci-bot"},
		"scp a string":            {changes: map[string]any{"scp": "film:*:read"}, expect: func(e *Expect) { e.ScopeClaim = "scp" }, scope: "film:*:read", client: "ci-bot"},
		"scp, strict":             {changes: map[string]any{"scope": nil, "scp": "film:*:read"}, client: "ci-bot"},
		"scp missing":             {expect: func(e *Expect) { e.ScopeClaim = "scp" }, client: "ci-bot"},
		"scope a list":            {changes: map[string]any{"scope": []string{"a:read"}}, expect: func(e *Expect) { e.ScopeClaim = "scope" }, scope: "a:read", client: "ci-bot"},
		"scope a list, strict":    {changes: map[string]any{"scope": []string{"a:read"}}, reason: BadClaims},
		"scp with a space inside": {changes: map[string]any{"scp": []string{"a:read b:read"}}, expect: func(e *Expect) { e.ScopeClaim = "scp" }, reason: BadClaims},
		"scp with a number":       {changes: map[string]any{"scp": []any{"a:read", 1}}, expect: func(e *Expect) { e.ScopeClaim = "scp" }, reason: BadClaims},
		"scp with an empty one":   {changes: map[string]any{"scp": []string{""}}, expect: func(e *Expect) { e.ScopeClaim = "scp" }, reason: BadClaims},
		"scp an object":           {changes: map[string]any{"scp": map[string]any{}}, expect: func(e *Expect) { e.ScopeClaim = "scp" }, reason: BadClaims},
		"azp":                     {changes: map[string]any{"azp": "other"}, expect: func(e *Expect) { e.ClientClaim = "azp" }, scope: "book:*:read book:1:edit", client: "other"},
		"azp missing":             {expect: func(e *Expect) { e.ClientClaim = "azp" }, reason: BadClaims},
		"azp may be missing":      {expect: func(e *Expect) { e.ClientClaim = "azp"; e.AllowMissing = []string{"client_id"} }, scope: "book:*:read book:1:edit"},
		"azp is a number":         {changes: map[string]any{"azp": 1}, expect: func(e *Expect) { e.ClientClaim = "azp"; e.AllowMissing = []string{"client_id"} }, reason: BadClaims},
		"all missing": {changes: map[string]any{"sub": nil, "client_id": nil, "jti": nil, "iat": nil},
			expect: func(e *Expect) { e.AllowMissing = allButAud }, scope: "book:*:read book:1:edit"},
		"one more missing": {changes: map[string]any{"sub": nil, "client_id": nil}, expect: func(e *Expect) { e.AllowMissing = []string{"sub"} }, reason: BadClaims},
		"exp missing":      {changes: map[string]any{"exp": nil}, expect: func(e *Expect) { e.AllowMissing = allButAud }, reason: BadClaims},
	} {
		t.Run(name, func(t *testing.T) {
			expect := testExpect()
			if c.expect != nil {
				c.expect(&expect)
			}
			if err := expect.Check(); err != nil {
				t.Fatal(err)
			}
			if c.typ == "" {
				c.typ = AccessTokenType
			}
			raw := signedParts(t, key, header(c.typ), encodeBase64([]byte(testClaims(t, c.changes))))
			claims, err := Verify(raw, keys, expect)
			wantReason(t, err, c.reason)
			if err == nil && (claims.Scope != c.scope || claims.ClientID != c.client) {
				t.Errorf("scope %q, client %q", claims.Scope, claims.ClientID)
			}
		})
	}
}

func TestExpectCheck(t *testing.T) {
	for _, bad := range []Expect{
		{Types: []string{""}}, {Types: []string{strings.Repeat("t", 65)}}, {Types: []string{"a\n"}},
		{AllowMissing: []string{"exp"}}, {AllowMissing: []string{"jti", "aud"}}, {AllowMissing: []string{""}}, {AllowMissing: []string{"iss"}},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func BenchmarkVerifierOfTwo(b *testing.B) {
	key := testKey(b, ES256)
	set := NewKeySet(key)
	keys := fixedKeys(set)
	raw := signed(b, key, testMint())
	other := testExpect()
	other.Issuer = otherIssuer
	v := newVerifier(other, testExpect())
	letIn(b, v, raw, set)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(raw, keys); err != nil {
			b.Fatal(err)
		}
	}
}
