package bundle_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
)

func TestBundleKeys(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	weak := rsa.PublicKey{N: rsaKey.N, E: rsaKey.E}
	weak.N = weak.N.Rsh(weak.N, 1024)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err = rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaPEM, ecPEM := publicPEM(t, &rsaKey.PublicKey), publicPEM(t, &p384.PublicKey)
	secret := strings.Repeat("s3cr3t!!", 4)
	tests := map[string]struct {
		material, alg string
		want          string // the algorithm
		refused       string
	}{
		"RSA":                    {rsaPEM, "", "RS256", ""},
		"RSA, PKCS #1":           {encodePEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)), "PS512", "PS512", ""},
		"a curve":                {ecPEM, "", "ES384", ""},
		"a secret":               {secret, "HS256", "HS256", ""},
		"another curve's":        {ecPEM, "ES256", "", "its algorithm is ES384 and not ES256"},
		"RSA for a curve":        {rsaPEM, "ES256", "", "and not ES256"},
		"a weak RSA key":         {publicPEM(t, &weak), "", "", "at least 2048 bits"},
		"Ed25519":                {publicPEM(t, edwards), "", "", "neither RSA nor on one of the curves"},
		"a public key as secret": {rsaPEM, "HS256", "", "it is in PEM and not a secret"},
		"a private key":          {newSigner(t).private, "", "", "it is a private key"},
		"a secret without alg":   {secret, "", "", "a secret needs an algorithm"},
		"a secret for RSA":       {secret, "RS256", "", "a key of RS256 is in PEM"},
		"a short secret":         {secret[:31], "HS256", "", "at least 32 bytes"},
		"a secret for more":      {secret, "HS512", "", "at least 64 bytes"},
		"none":                   {rsaPEM, "none", "", `unknown algorithm "none"`},
		"two keys":               {rsaPEM + ecPEM, "", "", "more than one key"},
		"no key":                 {encodePEM("PUBLIC KEY", []byte("x")), "", "", "it cannot be parsed"},
		"parameters":             {encodePEM("EC PARAMETERS", []byte("x")), "", "", "neither a public key nor a certificate"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, err := bundle.Verification([]bundle.Key{{"ci", test.material, test.alg}}, "")
			switch {
			case test.refused != "":
				wantParts(t, err, `bundle key "ci": `, test.refused)
				if strings.Contains(err.Error(), "s3cr3t") {
					t.Errorf("the error shows the key: %v", err)
				}
			case err != nil:
				t.Error(err)
			case config.PublicKeys["ci"].Algorithm != test.want:
				t.Errorf("the algorithm is %s", config.PublicKeys["ci"].Algorithm)
			}
		})
	}
	_, err = bundle.Verification([]bundle.Key{{"", rsaPEM, ""}}, "")
	wantParts(t, err, "needs an id")
	_, err = bundle.Verification([]bundle.Key{{"ci", rsaPEM, ""}, {"ci", ecPEM, ""}}, "")
	wantParts(t, err, "given twice")
	_, err = bundle.Verification(nil, "live")
	wantParts(t, err, "needs a key")
}

func TestBundleLocation(t *testing.T) {
	for _, good := range []string{
		"/etc/caddy/bundle.tar.gz", "bundle.tar.gz", "https://policy.example.com/m2m.tar.gz?sig=a%2Fb/", "http://127.0.0.1:8080/b", "http://[::1]/b", "http://localhost/b", "http://bundles.localhost/b",
	} {
		if err := bundle.CheckLocation(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, part := range map[string]string{
		"":                                   "needs a path or a URL",
		"http://policy.example.com/b":        "must be https",
		"http://127.0.0.1.example.com/b":     "must be https",
		"ftp://policy.example.com/b":         "must be https",
		"file:///etc/b.tar.gz":               "malformed",
		"https://":                           "malformed",
		"https://us er/":                     "malformed",
		"https://u:hunter2@example.com/b":    "user information",
		"https://policy.example.com/b#later": "fragment",
	} {
		err := bundle.CheckLocation(bad)
		wantParts(t, err, part)
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}
