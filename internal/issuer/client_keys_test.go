package issuer

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// TestKeysOfClientsVerify makes a client of each kind of key that a registry takes. internal/token must be able to use them all,
// under the same thumbprint.
func TestKeysOfClientsVerify(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, _ := ed25519.GenerateKey(rand.Reader)
	publics := []any{small.Public(), edwards.Public()}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		publics = append(publics, key.Public())
	}
	algs := map[string][]string{
		"RSA": {"", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, "OKP": {"", "EdDSA", "Ed25519"},
		"P-256": {"", "ES256"}, "P-384": {"", "ES384"}, "P-521": {"", "ES512"},
	}
	for _, public := range publics {
		key, err := registry.PublicKey(public)
		if err != nil {
			t.Fatalf("%T: %v", public, err)
		}
		var jwk map[string]string
		if err := json.Unmarshal(key.JWK(), &jwk); err != nil {
			t.Fatal(err)
		}
		kind := jwk["kty"]
		if kind == "EC" {
			kind = jwk["crv"]
		}
		for _, alg := range algs[kind] {
			jwk["alg"] = alg
			if alg == "" {
				delete(jwk, "alg")
			}
			delete(jwk, "kid")
			data, _ := json.Marshal(jwk)
			client, err := registry.ParseClient("c", fmt.Appendf(nil, `{"jwks": {"keys": [%s]}}`, data), nil, nil)
			if err != nil {
				t.Errorf("%s %s: %v", kind, alg, err)
				continue
			}
			set, skipped, err := token.ParseKeySet(client.JWKS())
			if err != nil || len(skipped) > 0 || !set.Has(client.Keys[0].Thumbprint) || client.Keys[0].Thumbprint != key.Thumbprint {
				t.Errorf("%s %s: %v, %v", kind, alg, skipped, err)
			}
		}
	}
}
