package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// Only this file uses the JOSE library: for keys from and to JWKs, and thumbprints. The library gets only what has passed our
// own checks.

// rawPublic converts the public members of a JWK to a key.
func rawPublic(j publicJWK) (crypto.PublicKey, error) {
	var raw any
	if err := rawKey(j, &raw); err != nil {
		return nil, err
	}
	switch raw.(type) {
	case *ecdsa.PublicKey, *rsa.PublicKey, ed25519.PublicKey:
		return raw, nil
	}
	return nil, fmt.Errorf("unsupported key type %q", j.Kty)
}

// rawPrivate converts a private JWK to a key.
func rawPrivate(j privateJWK) (crypto.Signer, error) {
	var raw any
	if err := rawKey(j, &raw); err != nil {
		return nil, err
	}
	signer, ok := raw.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("unsupported key type %q", j.Kty)
	}
	return signer, nil
}

func rawKey(members, raw any) error {
	data, err := json.Marshal(members)
	if err != nil {
		return fmt.Errorf("encoding key: %w", err)
	}
	key, err := jwk.ParseKey(data)
	if err != nil {
		return fmt.Errorf("parsing key: %w", err)
	}
	return key.Raw(raw)
}

// thumbprint returns the thumbprint of a key by RFC 7638.
func thumbprint(j publicJWK) (string, error) {
	data, err := json.Marshal(j.material())
	if err != nil {
		return "", fmt.Errorf("encoding key: %w", err)
	}
	key, err := jwk.ParseKey(data)
	if err != nil {
		return "", fmt.Errorf("parsing key: %w", err)
	}
	hash, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("hashing key: %w", err)
	}
	return encodeBase64(hash), nil
}

// newPrivateJWK returns a private key as a JWK, whose kid is the thumbprint of RFC 7638.
func newPrivateJWK(alg Alg, private crypto.Signer) (privateJWK, error) {
	key, err := jwk.FromRaw(private)
	if err != nil {
		return privateJWK{}, fmt.Errorf("encoding key: %w", err)
	}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return privateJWK{}, fmt.Errorf("hashing key: %w", err)
	}
	data, err := json.Marshal(key)
	if err != nil {
		return privateJWK{}, fmt.Errorf("encoding key: %w", err)
	}
	var j privateJWK
	if err := json.Unmarshal(data, &j); err != nil {
		return privateJWK{}, fmt.Errorf("encoding key: %w", err)
	}
	j.Kid, j.Alg, j.Use = encodeBase64(thumbprint), string(alg), useSignature
	return j, nil
}
