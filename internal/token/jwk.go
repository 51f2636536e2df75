package token

import (
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/bits"
)

// useSignature is the use of keys that sign (RFC 7517 §4.2).
const useSignature = "sig"

// Bounds of RSA keys. Below 2048 bits a key can be broken, and RFC 7518 §3.3 forbids it. Above
// 8192 nothing is gained, while the cost of a check, which the token's sender decides on, grows
// with the square. Public exponents up to 65536 are outside FIPS 186-5 and invite attacks on
// sloppy padding; those of more than 31 bits are beyond Go's RSA.
const (
	minRSABits     = 2048
	maxRSABits     = 8192
	minRSAExponent = 65537
	maxRSAExponent = 1<<31 - 1
)

// publicJWK holds the members of a JWK that everybody may see (RFC 7517 §4, RFC 7518 §6).
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

// check holds the key against the rules of its algorithm: type, curve, strength, and members in
// the one spelling that RFC 7518 §6 allows.
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
	if size := bitLen(modulus); size < minRSABits || size > maxRSABits {
		return fmt.Errorf("RSA modulus must have %d to %d bits", minRSABits, maxRSABits)
	}
	exponent, err := decodeUint("e", e)
	if err != nil {
		return err
	}
	if v, ok := smallUint(exponent); !ok || v < minRSAExponent || v > maxRSAExponent || v%2 == 0 {
		return fmt.Errorf("RSA exponent must be odd, from %d to %d", minRSAExponent, maxRSAExponent)
	}
	return nil
}

// decodeUint reads a Base64urlUInt (RFC 7518 §2): big-endian, with no leading zero.
func decodeUint(name, value string) ([]byte, error) {
	b, err := decodeBase64(value)
	if err != nil {
		return nil, fmt.Errorf("decoding %s: %w", name, err)
	}
	if len(b) == 0 || b[0] == 0 {
		return nil, fmt.Errorf("%s is empty or begins with a zero byte", name)
	}
	return b, nil
}

func bitLen(b []byte) int { return (len(b)-1)*8 + bits.Len8(b[0]) }

func smallUint(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v, len(b) <= 8
}

// public checks the key and turns it into one that can verify.
func (j publicJWK) public(alg Alg) (crypto.PublicKey, error) {
	if err := j.check(alg); err != nil {
		return nil, err
	}
	raw, err := rawPublic(publicJWK{Kty: j.Kty, Crv: j.Crv, X: j.X, Y: j.Y, N: j.N, E: j.E})
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
