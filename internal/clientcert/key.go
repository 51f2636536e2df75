package clientcert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
)

// KeyThumbprint returns the JWK thumbprint of a public key with SHA-256 (RFC 7638), by which a registry knows a key. It fails
// for other keys than RSA, ECDSA and Ed25519.
func KeyThumbprint(key crypto.PublicKey) (string, error) {
	var text string
	switch k := key.(type) {
	case *rsa.PublicKey:
		e := big.NewInt(int64(k.E)).Bytes()
		text = fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, base64URL(e), base64URL(k.N.Bytes()))
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, x, y: all of the same length (SEC 1 §2.3.3)
		if err != nil {
			return "", errors.New("the key is not a point of its curve")
		}
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		text = fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, k.Params().Name, base64URL(x), base64URL(y))
	case ed25519.PublicKey:
		text = fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, base64URL(k))
	default:
		return "", errors.New("the type of the key is not supported")
	}
	sum := sha256.Sum256([]byte(text))
	return base64URL(sum[:]), nil
}

func base64URL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
