package token

import (
	"crypto"
	"crypto/rsa"
)

// publicKey verifies signatures of one algorithm.
type publicKey struct {
	jwk     publicJWK
	alg     Alg
	sigSize int
	verify  verifyFunc
}

func newPublicKey(j publicJWK, alg Alg) (*publicKey, error) {
	raw, err := j.public(alg)
	if err != nil {
		return nil, err
	}
	verify, err := newVerifyFunc(alg, raw)
	if err != nil {
		return nil, err
	}
	j.Alg, j.Use = string(alg), useSignature
	return &publicKey{jwk: j, alg: alg, sigSize: signatureSize(alg, raw), verify: verify}, nil
}

// signatureSize returns the length of the key's signatures: twice that of the curve's order for ECDSA (RFC 7518 §3.4), 64
// bytes for Ed25519 (RFC 8032 §5.1.6), and that of the modulus for RSA.
func signatureSize(alg Alg, raw crypto.PublicKey) int {
	if key, ok := raw.(*rsa.PublicKey); ok {
		return key.Size()
	}
	return 2 * algorithms[alg].size
}

// check returns an error unless sig is the key's signature of input.
func (k *publicKey) check(input, sig []byte) error {
	if len(sig) != k.sigSize {
		return refuse(BadSignature, "wrong length of signature")
	}
	if err := k.verify(input, sig); err != nil {
		return refuse(BadSignature, "wrong signature")
	}
	return nil
}
