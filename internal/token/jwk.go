package token

import (
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
)

// useSignature is the use of keys that sign (RFC 7517 §4.2).
const useSignature = "sig"

// Bounds of RSA keys. RFC 7518 §3.3 forbids keys below 2048 bits. Above 8192 bits nothing is gained, while the cost of a
// check, which the sender of a token causes, grows with the square. FIPS 186-5 forbids public exponents up to 65536, which
// invite attacks on sloppy padding. Go's RSA does not support exponents of more than 31 bits.
const (
	minRSABits     = 2048
	maxRSABits     = 8192
	minRSAExponent = 65537
	maxRSAExponent = 1<<31 - 1
)

// publicJWK holds the public members of a JWK (RFC 7517 §4, RFC 7518 §6).
type publicJWK struct {
	Kty string `json:"kty"`
	Kid string `json:"kid,omitzero"`
	Alg string `json:"alg,omitzero"`
	Use string `json:"use,omitzero"`
	Crv string `json:"crv,omitzero"`
	X   string `json:"x,omitzero"`
	Y   string `json:"y,omitzero"`
	N   string `json:"n,omitzero"`
	E   string `json:"e,omitzero"`
}

// material returns the members that are the key itself.
func (j publicJWK) material() publicJWK {
	return publicJWK{Kty: j.Kty, Crv: j.Crv, X: j.X, Y: j.Y, N: j.N, E: j.E}
}

// privateJWK is a key as it is stored.
type privateJWK struct {
	publicJWK
	D  string `json:"d"`
	P  string `json:"p,omitzero"`
	Q  string `json:"q,omitzero"`
	DP string `json:"dp,omitzero"`
	DQ string `json:"dq,omitzero"`
	QI string `json:"qi,omitzero"`
}

// check checks the key by the rules of its algorithm: type, curve, strength, and members in the canonical encoding of RFC
// 7518 §6.
func (j publicJWK) check(alg Alg) error {
	a, ok := algorithms[alg]
	switch {
	case !ok:
		return errors.New("unsupported algorithm")
	case j.Kty != a.kty || j.Crv != a.crv:
		return fmt.Errorf("key type or curve does not fit %s", alg)
	case a.kty == ktyRSA:
		return checkRSA(j.N, j.E)
	}
	if err := checkSize("x", j.X, a.size); err != nil || a.kty == ktyOKP {
		return err
	}
	return checkSize("y", j.Y, a.size)
}

func checkSize(name, value string, size int) error {
	b, err := decodeBase64(value)
	if err != nil {
		return fmt.Errorf("decoding %s: %w", name, err)
	}
	if len(b) != size {
		return fmt.Errorf("%s must have %d bytes", name, size)
	}
	return nil
}

func checkRSA(n, e string) error {
	modulus, err := decodeUint("n", n)
	if err != nil {
		return err
	}
	if size := modulus.BitLen(); size < minRSABits || size > maxRSABits {
		return fmt.Errorf("RSA modulus must have %d to %d bits", minRSABits, maxRSABits)
	}
	exponent, err := decodeUint("e", e)
	if err != nil {
		return err
	}
	if v := exponent.Uint64(); !exponent.IsUint64() || v < minRSAExponent || v > maxRSAExponent || v%2 == 0 {
		return fmt.Errorf("RSA exponent must be odd, from %d to %d", minRSAExponent, maxRSAExponent)
	}
	return nil
}

// decodeUint reads a Base64urlUInt (RFC 7518 §2): big-endian, without a leading zero.
func decodeUint(name, value string) (*big.Int, error) {
	b, err := decodeBase64(value)
	if err != nil {
		return nil, fmt.Errorf("decoding %s: %w", name, err)
	}
	if len(b) == 0 || b[0] == 0 {
		return nil, fmt.Errorf("%s is empty or begins with a zero byte", name)
	}
	return new(big.Int).SetBytes(b), nil
}

// public checks the key and converts it to a key of the standard library.
func (j publicJWK) public(alg Alg) (crypto.PublicKey, error) {
	if err := j.check(alg); err != nil {
		return nil, err
	}
	raw, err := rawPublic(j.material())
	if err != nil {
		return nil, err
	}
	if key, ok := raw.(*ecdsa.PublicKey); ok {
		if _, err := key.ECDH(); err != nil {
			return nil, errors.New("point is not on the curve")
		}
	}
	return raw, nil
}
