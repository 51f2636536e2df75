package registry

import (
	"strings"
	"testing"
)

func TestUnusedCredentials(t *testing.T) {
	secret := ", secrets: [{id: s1, sha256: " + hashOf(1) + "}]"
	keys := ", jwks: {keys: [" + keyEC + "]}"
	for body, want := range map[string]string{
		"description: x" + secret + keys:                                                    "",
		"auth: private_key_jwt" + secret + keys:                                             "client_secret",
		"auth: client_secret" + secret + keys:                                               "private_key_jwt self_signed_tls_client_auth",
		"auth: self_signed_tls_client_auth" + keys + ", tls_client_auth_san_dns: a.example": "tls_client_auth",
		"auth: client_secret":                                                               "",
	} {
		c := mustParse(t, "r.yaml", inClient(body)).clients["c"]
		if got := strings.Join(c.Unused(), " "); got != want {
			t.Errorf("%.40s: %s; want %s", body, got, want)
		}
	}
}

func TestAllows(t *testing.T) {
	for _, c := range []struct {
		auth, method string
		want         bool
	}{
		{"", "client_secret_basic", true}, {"", PrivateKeyJWT, true},
		{ClientSecret, "client_secret_basic", true}, {ClientSecret, "client_secret_post", true}, {ClientSecret, PrivateKeyJWT, false},
		{PrivateKeyJWT, PrivateKeyJWT, true}, {PrivateKeyJWT, "client_secret_post", false}, {FederatedJWT, SPIFFEJWT, false},
	} {
		if got := (&Client{Auth: c.auth}).Allows(c.method); got != c.want {
			t.Errorf("auth %q, method %s: %v", c.auth, c.method, got)
		}
	}
}

// FuzzParseKey parses what claims to be a public key. A key that is accepted is read again as the same, and holds nothing
// private.
func FuzzParseKey(f *testing.F) {
	for _, seed := range []string{
		`{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}`,
		`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`,
		`{"kty":"RSA","e":"AQAB","n":"AQ"}`, `{"kty":"oct","k":"AQ"}`, `{"kty":"EC","crv":"P-521"}`, `[]`, `{"kty":1}`, `{"x5c":[1],"key_ops":["verify"]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParseKey(data)
		if err != nil {
			return
		}
		again, err := ParseKey(key.JWK())
		if err != nil || again != key || key.Public() == nil || key.Thumbprint == "" {
			t.Errorf("%s is %s, and again %s, %v", data, key.JWK(), again.JWK(), err)
		}
	})
}

// FuzzPatterns compares what matches with what overlaps.
func FuzzPatterns(f *testing.F) {
	f.Add("repo:example/*:ref", "repo:example/books:ref")
	f.Add("a:b:*", "a:b:*:c")
	f.Fuzz(func(t *testing.T, a, b string) {
		if checkPattern(a) != nil {
			return
		}
		if checkSubject(b) == nil {
			if matches(a, b) != overlap(a, b) || overlap(a, b) != overlap(b, a) {
				t.Errorf("%q matches %q: %v, and they overlap: %v", a, b, matches(a, b), overlap(a, b))
			}
			if matches(a, b) && Bucket(a) != Bucket(b) {
				t.Errorf("%q matches %q of another bucket", a, b)
			}
		}
		if checkPattern(b) == nil && overlap(a, b) {
			if overlap(b, a) != overlap(a, b) || Bucket(a) != Bucket(b) {
				t.Errorf("%q and %q overlap on one side, or in two buckets", a, b)
			}
		}
	})
}
