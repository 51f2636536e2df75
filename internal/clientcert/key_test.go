package clientcert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// TestKeyThumbprint compares thumbprints with those of jwx, for keys with coordinates that begin with 0, too.
func TestKeyThumbprint(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := []crypto.PublicKey{private.Public(), edwards}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		for range 300 {
			key, err := ecdsa.GenerateKey(curve, rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, key.Public())
		}
	}
	for _, key := range keys {
		other, err := jwk.FromRaw(key)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := other.Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := KeyThumbprint(key); err != nil || got != base64URL(sum) {
			t.Errorf("%T: got %q, %v, want %q", key, got, err, base64URL(sum))
		}
	}
	if _, err := KeyThumbprint("key"); err == nil {
		t.Error("a text has a thumbprint")
	}
}
