package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
)

// maxStoredKeySize bounds a stored key, in bytes. An RSA key of 8192 bits takes 6 KiB.
const maxStoredKeySize = 16 << 10

var (
	errStoredSyntax   = errors.New("not a private JWK as this package writes it")
	errStoredMismatch = errors.New("its members contradict each other: it is damaged")
)

// MarshalPrivate returns the key as a private JWK (RFC 7517), which ParseSigningKey reads.
func (k SigningKey) MarshalPrivate() ([]byte, error) {
	data, err := json.Marshal(k.private())
	if err != nil {
		return nil, fmt.Errorf("encoding signing key: %w", err)
	}
	return data, nil
}

// ParseSigningKey reads what MarshalPrivate wrote, and nothing else: alg must be a signing algorithm that fits the key, kid
// its thumbprint, use "sig", the key strong enough, and all members those of the key. So it refuses a truncated or altered
// key. The only change that it cannot find is between RS256 and PS256, because RSA keys fit both. Its errors contain nothing
// of the key.
func ParseSigningKey(jwk []byte) (*SigningKey, error) {
	key, err := parseSigningKey(jwk)
	if err != nil {
		return nil, fmt.Errorf("parsing signing key: %w", err)
	}
	return key, nil
}

func parseSigningKey(data []byte) (*SigningKey, error) {
	var stored privateJWK
	if len(data) > maxStoredKeySize {
		return nil, errStoredSyntax
	}
	if err := json.Unmarshal(data, &stored, json.RejectUnknownMembers(true)); err != nil {
		return nil, errStoredSyntax
	}
	alg := Alg(stored.Alg)
	if !slices.Contains(signingAlgs, alg) {
		return nil, fmt.Errorf("its alg must be one of %s", joinAlgs(signingAlgs))
	}
	if err := stored.check(alg); err != nil {
		return nil, err
	}
	private, err := privateOf(stored)
	if err != nil {
		return nil, errStoredMismatch
	}
	key, err := newSigningKey(alg, private)
	if err != nil {
		return nil, err
	}
	if key.private() != stored {
		return nil, errStoredMismatch
	}
	return key, nil
}

// privateOf converts a key. It passes only the members that define the key to the JOSE library, and checks that private and
// public part belong together.
func privateOf(j privateJWK) (crypto.Signer, error) {
	public := publicJWK{Kty: j.Kty, Crv: j.Crv, X: j.X, Y: j.Y, N: j.N, E: j.E}
	raw, err := rawPrivate(privateJWK{publicJWK: public, D: j.D, P: j.P, Q: j.Q})
	if err != nil {
		return nil, err
	}
	switch key := raw.(type) {
	case *rsa.PrivateKey:
		return validRSA(key)
	case *ecdsa.PrivateKey:
		return validEC(key)
	}
	return raw, nil // Ed25519: the library derives the public part and compares
}

func validRSA(key *rsa.PrivateKey) (crypto.Signer, error) {
	fresh := &rsa.PrivateKey{PublicKey: key.PublicKey, D: key.D, Primes: key.Primes}
	if err := fresh.Validate(); err != nil {
		return nil, err
	}
	fresh.Precompute()
	return fresh, nil
}

func validEC(key *ecdsa.PrivateKey) (crypto.Signer, error) {
	private, err := key.ECDH()
	if err != nil {
		return nil, err
	}
	public, err := key.PublicKey.ECDH()
	if err != nil {
		return nil, err
	}
	if !private.PublicKey().Equal(public) {
		return nil, errStoredMismatch
	}
	return key, nil
}
