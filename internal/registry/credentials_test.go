package registry

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Public keys of RFC 7517 and RFC 8037.
const (
	keyEC  = `{kty: EC, crv: P-256, kid: one, alg: ES256, use: sig, x: MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4, y: 4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM}`
	keyOKP = `{kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}`
	keyRSA = `{kty: RSA, e: AQAB, n: 0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw}`
)

var credentialsYAML = `
clients:
  partner:
    auth: private_key_jwt
    jwks: {keys: [` + keyEC + `, ` + keyOKP + `, ` + keyRSA + `]}
    dpop_bound_access_tokens: true
  remote: {auth: self_signed_tls_client_auth, jwks_uri: "https://partner.example.com/jwks.json", tls_client_certificate_bound_access_tokens: true}
  deployer:
    identities:
      - {issuer: https://token.actions.githubusercontent.com, subject: "repo:example/books:ref:refs/heads/main"}
      - {issuer: https://kubernetes.default.svc, subject_pattern: "system:serviceaccount:books:*", claims: {environment: production, "kubernetes.io": {namespace: books}, n: 1}}
      - {issuer: https://spire.example.org, subject: "spiffe://example.org/books", type: jwt-spiffe}
  tester:
    identities:
      - {issuer: https://kubernetes.default.svc, subject: "system:serviceaccount:books:api", type: jwt, claims: {environment: test}}
  dn: {auth: tls_client_auth, tls_client_auth_subject_dn: 'CN=books\, and more,OU=a+L=b,1.2.3=#04024869,O=Example'}
  dns: {tls_client_auth_san_dns: books.example.com}
  uri: {tls_client_auth_san_uri: "spiffe://example.org/books"}
  ip: {tls_client_auth_san_ip: "2001:db8::7"}
  email: {tls_client_auth_san_email: books@example.com}
  secretless: {}
`

func TestParseCredentials(t *testing.T) {
	s := mustParse(t, "r.yaml", credentialsYAML)
	partner := s.clients["partner"]
	if k := partner.Keys[0]; k.ID != "one" || k.Algorithm != "ES256" || k.Thumbprint != "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s" {
		t.Errorf("EC key %+v", k)
	}
	if k := partner.Keys[1]; k.Thumbprint != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" { // RFC 8037 A.3
		t.Errorf("OKP key %+v", k)
	}
	if k := partner.Keys[2]; k.Thumbprint != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" { // RFC 7638 §3.1
		t.Errorf("RSA key %+v", k)
	}
	for i, want := range []any{&ecdsa.PublicKey{}, ed25519.PublicKey{}, &rsa.PublicKey{}} {
		if got := partner.Keys[i].Public(); reflect.TypeOf(got) != reflect.TypeOf(want) {
			t.Errorf("key %d is a %T", i, got)
		}
	}
	if want := (Certificate{SubjectDN: `CN=books\, and more,OU=a+L=b,1.2.3=#04024869,O=Example`}); s.clients["dn"].Certificate != want {
		t.Errorf("certificate %+v", s.clients["dn"].Certificate)
	}
	for subject, want := range map[string]string{
		"https://token.actions.githubusercontent.com repo:example/books:ref:refs/heads/main": "deployer",
		"https://token.actions.githubusercontent.com repo:example/books:ref:refs/heads/x":    "",
		"https://kubernetes.default.svc system:serviceaccount:books:api":                     "deployer tester",
		"https://kubernetes.default.svc system:serviceaccount:books:other":                   "deployer",
		"https://kubernetes.default.svc system:serviceaccount:books:":                        "",
		"https://kubernetes.default.svc system:serviceaccount:books":                         "",
		"https://spire.example.org spiffe://example.org/books":                               "deployer",
		"https://other.example.org spiffe://example.org/books":                               "",
		"https://spire.example.org ":                                                         "",
	} {
		issuer, subject, _ := strings.Cut(subject, " ")
		clients, err := s.ClientsFor(t.Context(), issuer, subject)
		var ids []string
		for _, c := range clients {
			ids = append(ids, c.ID)
		}
		slices.Sort(ids)
		if got := strings.Join(ids, " "); err != nil || got != want {
			t.Errorf("%s %s: %s, %v; want %s", issuer, subject, got, err, want)
		}
	}
}

// TestCredentialsSurvive encodes clients and decodes them, by the rules and without.
func TestCredentialsSurvive(t *testing.T) {
	for id, c := range mustParse(t, "r.yaml", credentialsYAML).clients {
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseClient(id, data, nil, nil); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%s parsed: %v\n got %+v\nwant %+v", data, err, again, c)
		}
		if again, err := DecodeClient(id, data); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%s decoded: %v\n got %+v\nwant %+v", data, err, again, c)
		}
	}
}

// TestNoPrivateKeyIsKept refuses members of private and symmetric keys, and does not repeat them.
func TestNoPrivateKeyIsKept(t *testing.T) {
	const private = "c2VjcmV0LW1hdGVyaWFsLW9mLWEta2V5"
	for _, member := range append(slices.Clone(secretMembers), "oct") {
		key := strings.TrimSuffix(keyEC, "}") + ", " + member + ": " + private + "}"
		if member == "oct" {
			key = "{kty: oct, k: " + private + "}"
		}
		_, err := Parse("r.yaml", []byte(inClient("jwks: {keys: [ "+key+" ]}")))
		if err == nil || strings.Contains(err.Error(), private) || !strings.Contains(err.Error(), "treat it as leaked") {
			t.Errorf("%s: %v", member, err)
		}
	}
}

func TestParseRefusesCredentials(t *testing.T) {
	weak := strings.Replace(keyRSA, "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W", "", 1)
	keys := func(keys ...string) string { return "jwks: {keys: [" + strings.Join(keys, ", ") + "]}" }
	many := make([]string, MaxKeys+1)
	for i := range many {
		many[i] = "x"
	}
	for name, c := range map[string]struct{ body, want string }{
		"auth unknown":     {"auth: private_key_jwk", `did you mean "private_key_jwt"?`},
		"auth far off":     {"auth: none", "known are client_secret, federated_jwt, private_key_jwt, self_signed_tls_client_auth, spiffe_jwt, tls_client_auth"},
		"auth without key": {"auth: private_key_jwt", "2:14: auth is private_key_jwt, so the client must have jwks or jwks_uri"},
		"auth other type": {"auth: spiffe_jwt, identities: [{issuer: 'https://a', subject: x}]",
			"auth is spiffe_jwt, so the client must have identities of type jwt-spiffe"},
		"auth no certificate": {"auth: tls_client_auth", "so the client must have a field such as tls_client_auth_subject_dn"},
		"jwks and jwks_uri":   {keys(keyEC) + ", jwks_uri: 'https://a/'", "a client may have jwks or jwks_uri, not both"},
		"jwks a list":         {"jwks: [" + keyEC + "]", "3:7: jwks must be a mapping, not a list"},
		"jwks a private key":  {"auth: private_key_jwt, jwks: " + strings.Replace(keyEC, "{", "{d: hunter2, ", 1), "jwks: it is a private or a symmetric key"},
		"set in a set":        {keys("{keys: [" + keyEC + "]}"), "a key: it is a JWK Set"},
		"jwks without keys":   {"jwks: {}", `3:7: jwks must have "keys"`},
		"no key":              {"jwks: {keys: []}", "3:14: keys must not be empty"},
		"too many keys":       {keys(many...), "and 11 more problems"},
		"key not a mapping":   {keys("x"), "3:15: a key must be a mapping, not a string"},
		"weak RSA":            {keys(weak), "an RSA key must have 2048 to 8192 bits, not 1"},
		"exponent 3":          {keys(strings.Replace(keyRSA, "AQAB", "Aw", 1)), "the exponent of an RSA key must be odd, from 65537"},
		"wrong curve":         {keys(strings.Replace(keyEC, "P-256", "secp256k1", 1)), "the type or the curve is not supported"},
		"X25519":              {keys(strings.Replace(keyOKP, "Ed25519", "X25519", 1)), "the type or the curve is not supported"},
		"not on the curve":    {keys(strings.Replace(keyEC, "MKB", "MKC", 1)), "the coordinates are not a point on the curve"},
		"long coordinate":     {keys(strings.Replace(keyEC, "x: MKBC", "x: MKBCMKBC", 1)), "x and y must each be 32 bytes in base64url"},
		"short Ed25519":       {keys(strings.Replace(keyOKP, "11qY", "", 1)), "x must be 32 bytes in base64url"},
		"wrong alg":           {keys(strings.Replace(keyEC, "ES256", "RS256", 1)), "alg does not fit the key: it must be ES256"},
		"alg none":            {keys(strings.Replace(keyEC, "ES256", "none", 1)), "alg does not fit the key: it must be ES256"},
		"for encryption":      {keys(strings.Replace(keyEC, "use: sig", "use: enc", 1)), "its use is not sig"},
		"key_ops":             {keys(strings.Replace(keyEC, "use: sig", "key_ops: [encrypt]", 1)), "its key_ops do not have verify"},
		"kid twice":           {keys(keyEC, strings.Replace(keyOKP, "{", "{kid: one, ", 1)), "duplicate kid among the keys of a client"},
		"key twice":           {keys(keyEC, strings.Replace(keyEC, "kid: one", "kid: two", 1)), "duplicate key of a client"},
		"kid with a space":    {keys(strings.Replace(keyEC, "kid: one", "kid: 'o e'", 1)), "character 0x20 at byte 2 of its kid is not allowed"},
		"kid too long":        {keys(strings.Replace(keyEC, "one", strings.Repeat("o", 129), 1)), "its kid is longer than 128 bytes"},
		"kid a number":        {keys(strings.Replace(keyEC, "one", "1", 1)), "kid of a key must be a string, not a number"},
		"member too long":     {keys(strings.Replace(keyRSA, "AQAB", strings.Repeat("A", 2049), 1)), "e of a key is longer than 2048 bytes"},

		"jwks_uri http":      {"jwks_uri: 'http://partner.example.com/'", "jwks_uri: must be https; http is for loopback only"},
		"jwks_uri not a URL": {"jwks_uri: partner.example.com", "jwks_uri: must be the URL of a server"},
		"jwks_uri user":      {"jwks_uri: 'https://a:hunter2@b/'", "jwks_uri: must not have a user or a password"},
		"jwks_uri fragment":  {"jwks_uri: 'https://b/#x'", "jwks_uri: must not have a fragment"},

		"identity without issuer":  {"identities: [{subject: x}]", "3:14: an identity must have issuer"},
		"identity without subject": {"identities: [{issuer: 'https://a'}]", "it must have subject or subject_pattern"},
		"identity with both":       {"identities: [{issuer: 'https://a', subject: x, subject_pattern: 'a:b:*'}]", "it may have subject or subject_pattern, not both"},
		"identity http":            {"identities: [{issuer: 'http://a.example', subject: x}]", "issuer: must be https; http is for loopback only"},
		"identity star":            {"identities: [{issuer: 'https://a', subject: 'a:b:*'}]", `subject: "*" is for subject_pattern: a subject is exact`},
		"identity lone star":       {"identities: [{issuer: 'https://a', subject_pattern: '*'}]", `before the first "*" it must have two segments`},
		"identity no star":         {"identities: [{issuer: 'https://a', subject_pattern: 'a:b:c'}]", `without "*" it stands for one subject: use subject`},
		"identity type":            {"identities: [{issuer: 'https://a', subject: x, type: saml}]", "type of an identity must be jwt or jwt-spiffe"},
		"not a SPIFFE ID":          {"identities: [{issuer: 'https://a', subject: 'spiffe://A/x', type: jwt-spiffe}]", "the subject must be a SPIFFE ID with a path"},
		"SPIFFE dots":              {"identities: [{issuer: 'https://a', subject: 'spiffe://a/x/../y', type: jwt-spiffe}]", "the subject must be a SPIFFE ID with a path"},
		"identity twice":           {"identities: [{issuer: 'https://a', subject: x}, {issuer: 'https://a', subject: x, type: jwt}]", "duplicate identity of a client"},
		"identity claims list":     {"identities: [{issuer: 'https://a', subject: x, claims: [a]}]", "claims must be a mapping, not a list"},
		"identity control":         {"identities: [{issuer: 'https://a', subject: \"a\\nb\"}]", "subject: character 0x0a is not allowed"},
		"no identity":              {"identities: []", "3:13: identities must not be empty"},

		"two certificates":  {"tls_client_auth_san_dns: a, tls_client_auth_san_ip: 192.0.2.1", "3:53: a client may have only one tls_client_auth field"},
		"DN without value":  {"tls_client_auth_subject_dn: 'CN='", "must be a distinguished name"},
		"DN without type":   {"tls_client_auth_subject_dn: 'books'", "must be a distinguished name"},
		"DN not escaped":    {"tls_client_auth_subject_dn: 'CN=a;b'", "must be a distinguished name"},
		"DN unknown type":   {"tls_client_auth_subject_dn: 'FOO=a'", "the attribute type \"FOO\" is not known"},
		"DN as openssl":     {"tls_client_auth_subject_dn: 'C = US, CN = a'", "RFC2253"},
		"DN open":           {"tls_client_auth_subject_dn: 'CN=a,'", "must be a distinguished name"},
		"DN wrong hex":      {"tls_client_auth_subject_dn: 'CN=#zz'", "must be a distinguished name"},
		"DN wrong escape":   {"tls_client_auth_subject_dn: 'CN=a\\'", "must be a distinguished name"},
		"DNS with wildcard": {"tls_client_auth_san_dns: '*.example.com'", "tls_client_auth_san_dns must be a host name"},
		"URI relative":      {"tls_client_auth_san_uri: '/x'", "tls_client_auth_san_uri must be an absolute URI"},
		"IP a network":      {"tls_client_auth_san_ip: 192.0.2.0/24", "tls_client_auth_san_ip must be an IP address"},
		"mail not in ASCII": {"tls_client_auth_san_email: 'é@example.com'", "tls_client_auth_san_email: it is not an email address"},
		"DN a private key":  {"tls_client_auth_subject_dn: 'MHcCAQEEIHunter2hunter2hunter2hunter2=='", "its attribute type is not known"},
		"mail with a name":  {"tls_client_auth_san_email: 'B <b@example.com>'", "tls_client_auth_san_email must be a mail address"},
	} {
		_, err := Parse("r.yaml", []byte(inClient(c.body)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", name, err, c.want)
		}
		if err != nil && strings.Contains(strings.ToLower(err.Error()), "hunter2") {
			t.Errorf("%s: %v repeats a password", name, err)
		}
	}
}

// TestOddKeysAreRead has the odd encodings that internal/token reads in the key sets of other issuers.
func TestOddKeysAreRead(t *testing.T) {
	for name, key := range map[string]string{
		"padding":       strings.Replace(keyEC, "D4,", "D4=,", 1),
		"other members": strings.Replace(keyEC, "{", "{x5c: [MII], x5t: a, exp: 1, ext: true, d: null, key_ops: [verify], ", 1),
		"sign byte":     strings.Replace(keyRSA, "AQAB", "AAEAAQ", 1),
	} {
		s, err := Parse("r.yaml", []byte(inClient("jwks: {keys: ["+key+"]}")))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if jwk := string(s.clients["c"].Keys[0].JWK()); strings.Contains(jwk, "=") || strings.Contains(jwk, "x5") || strings.Contains(jwk, "AAEAAQ") {
			t.Errorf("%s: %s", name, jwk)
		}
	}
}

func TestOneIdentityOfTwoClients(t *testing.T) {
	const iss = "issuer: 'https://a.example', "
	clients := func(a, b string) string {
		return "clients:\n  a:\n    identities:\n      - {" + iss + a + "}\n  b:\n    identities:\n      - {" + iss + b + "}\n"
	}
	for name, c := range map[string]struct {
		a, b string
		ok   bool
	}{
		"same subject":             {"subject: x", "subject: x", false},
		"same subject, other type": {"subject: 'spiffe://a/b'", "subject: 'spiffe://a/b', type: jwt-spiffe", false},
		"pattern and subject":      {"subject_pattern: 'a:b:*'", "subject: 'a:b:c'", false},
		"subject and pattern":      {"subject: 'a:b:c:d'", "subject_pattern: 'a:b:*:d'", false},
		"two patterns":             {"subject_pattern: 'a:b:*:d'", "subject_pattern: 'a:b:c:*'", false},
		"longer pattern first":     {"subject_pattern: 'a:b:c:*'", "subject_pattern: 'a:b:*'", false},
		"claims that both hold":    {"subject: x, claims: {env: prod}", "subject: x, claims: {ref: main}", false},
		"one without claims":       {"subject: x, claims: {env: prod}", "subject: x", false},
		"claims that exclude":      {"subject: x, claims: {env: prod}", "subject: x, claims: {env: test}", true},
		"patterns with claims":     {"subject_pattern: 'a:b:*', claims: {env: prod}", "subject: 'a:b:c', claims: {env: test}", true},
		"other subjects":           {"subject: x", "subject: X", true},
		"other patterns":           {"subject_pattern: 'a:b:*'", "subject_pattern: 'a:bc:*'", true},
		"other issuers":            {"subject: x", "subject: x, issuer: 'https://b.example'", true},
	} {
		file := clients(c.a, c.b)
		if name == "other issuers" {
			file = strings.Replace(file, iss+"subject: x, issuer", "subject: x, issuer", 1)
		}
		_, err := Parse("r.yaml", []byte(file))
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
			continue
		}
		const want = `r.yaml:7:9: an identity is of two clients: it overlaps one of client "a" on line 4`
		if err != nil && err.Error() != want {
			t.Errorf("%s: %v; want %s", name, err, want)
		}
	}
}

// TestExportOfCredentials exports clients in both formats, and reads them again.
func TestExportOfCredentials(t *testing.T) {
	s := mustParse(t, "r.yaml", credentialsYAML)
	for _, format := range []string{"json", "yaml"} {
		var out bytes.Buffer
		err := Export(&out, format, nil, func(yield func(*Client, error) bool) {
			for _, id := range slices.Sorted(maps.Keys(s.clients)) {
				if !yield(s.clients[id], nil) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if again := mustParse(t, "r."+format, out.String()); !reflect.DeepEqual(again.clients, s.clients) {
			t.Errorf("%s: %s", format, out.String())
		}
		changes, err := s.Plan(t.Context(), "r."+format, out.Bytes(), true)
		if err != nil || len(changes) != 0 {
			t.Errorf("%s: the plan has %v, %v", format, changes, err)
		}
	}
}
