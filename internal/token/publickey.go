package token

import (
	"cmp"
	"crypto"
	"crypto/rsa"
	"errors"
	"slices"
)

// publicKey verifies signatures.
type publicKey struct {
	// id is the kid or, if the key has none, the thumbprint.
	id string
	// print is the thumbprint (RFC 7638). Only it tells apart keys that share a kid, at one time or one after the other.
	print string
	jwk   publicJWK
	// alg is the key's only algorithm, or "" for an RSA key of another issuer that does not say which it is for.
	alg     Alg
	sigSize int
	verify  map[Alg]verifyFunc
}

// newPublicKey returns a key of one algorithm.
func newPublicKey(j publicJWK, alg Alg) (*publicKey, error) {
	j.Alg = string(alg)
	return newKeyOf(j, []Alg{alg})
}

// newKeyOf returns a key of algorithms that fit the same type and curve. There are several only if the key does not name
// its own.
func newKeyOf(j publicJWK, algs []Alg) (*publicKey, error) {
	if len(algs) == 0 {
		return nil, errors.New("unsupported key type or curve")
	}
	raw, err := j.public(algs[0])
	if err != nil {
		return nil, err
	}
	key := &publicKey{id: j.Kid, sigSize: signatureSize(algs[0], raw), verify: make(map[Alg]verifyFunc, len(algs))}
	for _, alg := range algs {
		if key.verify[alg], err = newVerifyFunc(alg, raw); err != nil {
			return nil, err
		}
	}
	if j.Alg = ""; len(algs) == 1 {
		key.alg, j.Alg = algs[0], string(algs[0])
	}
	j.Use = useSignature
	key.jwk = j
	key.print, err = thumbprint(j)
	key.id = cmp.Or(key.id, key.print)
	return key, err
}

// takes reports whether signatures of an algorithm count. An RSA key that does not say which algorithm it is for counts as
// one for RS256, the default of OpenID Connect: accepting any of the six would let the token choose. The algorithms that an
// operator accepts replace that default, and bound what every key may be used for.
func (k *publicKey) takes(alg Alg, accepted []Alg) bool {
	switch {
	case len(accepted) > 0:
		return slices.Contains(accepted, alg) && k.verify[alg] != nil
	case k.alg == "":
		return alg == RS256
	}
	return alg == k.alg
}

// signatureSize returns the length of the key's signatures: twice that of the curve's order for ECDSA (RFC 7518 §3.4), 64
// bytes for Ed25519 (RFC 8032 §5.1.6), and that of the modulus for RSA.
func signatureSize(alg Alg, raw crypto.PublicKey) int {
	if key, ok := raw.(*rsa.PublicKey); ok {
		return key.Size()
	}
	return 2 * algorithms[alg].size
}

// check returns an error unless sig is the key's signature of input. The key takes the algorithm.
func (k *publicKey) check(alg Alg, input, sig []byte) error {
	if len(sig) != k.sigSize {
		return refuse(BadSignature, "wrong length of signature")
	}
	if err := k.verify[alg](input, sig); err != nil {
		return refuse(BadSignature, "wrong signature")
	}
	return nil
}
