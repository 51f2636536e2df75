package registry

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

const (
	// MaxKeys is the greatest number of keys of a client.
	MaxKeys = 20
	// MaxKeyID is the greatest number of bytes of a kid.
	MaxKeyID = 128
)

// Key is a public key of a client.
type Key struct {
	// ID is the kid, or "" if the key has none.
	ID string
	// Algorithm is the only one that the key is for, or "" if the key does not say.
	Algorithm string
	// Thumbprint is the JWK thumbprint with SHA-256, in base64url (RFC 7638).
	Thumbprint string

	jwk publicJWK
}

// JWK returns the key as a JWK (RFC 7517) with public members only.
func (k Key) JWK() []byte {
	data, _ := json.Marshal(k.jwk) // strings always encode
	return data
}

// JWKS returns the client's own keys as a JWK Set (RFC 7517 §5).
func (c *Client) JWKS() []byte {
	data, _ := json.Marshal(jwksOf(c.Keys))
	return data
}

// Public returns the key as one of the standard library, or nil for a key that this package did not check.
func (k Key) Public() crypto.PublicKey {
	public, err := k.jwk.public()
	if err != nil {
		return nil
	}
	return public
}

// publicJWK holds the public members of a JWK that matter (RFC 7517 §4, RFC 7518 §6).
type publicJWK struct {
	KTY string `json:"kty"`
	KID string `json:"kid,omitempty"`
	ALG string `json:"alg,omitempty"`
	CRV string `json:"crv,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
}

// jwks is the JSON of a JWK Set.
type jwks struct {
	Keys []publicJWK `json:"keys"`
}

func jwksOf(keys []Key) *jwks {
	if len(keys) == 0 {
		return nil
	}
	set := new(jwks)
	for _, k := range keys {
		set.Keys = append(set.Keys, k.jwk)
	}
	return set
}

// keys returns the keys of a set that was checked before.
func (set *jwks) keys() (keys []Key) {
	if set == nil {
		return nil
	}
	for _, j := range set.Keys {
		keys = append(keys, j.key())
	}
	return keys
}

func (j publicJWK) key() Key {
	return Key{ID: j.KID, Algorithm: j.ALG, Thumbprint: j.thumbprint(), jwk: j}
}

// thumbprint hashes the required members, sorted by name (RFC 7638 §3). Their values need no escape.
func (j publicJWK) thumbprint() string {
	var text string
	switch j.KTY {
	case "RSA":
		text = fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, j.E, j.N)
	case "EC":
		text = fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, j.CRV, j.X, j.Y)
	default:
		text = fmt.Sprintf(`{"crv":"%s","kty":"%s","x":"%s"}`, j.CRV, j.KTY, j.X)
	}
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// curve is a curve of an EC key, with the only algorithm that uses it (RFC 7518 §3.4).
type curve struct {
	elliptic.Curve
	algorithm string
}

var curves = map[string]curve{
	"P-256": {elliptic.P256(), "ES256"},
	"P-384": {elliptic.P384(), "ES384"},
	"P-521": {elliptic.P521(), "ES512"},
}

// size returns the number of bytes of a coordinate.
func (c curve) size() int { return (c.Params().BitSize + 7) / 8 }

// algorithms returns the signature algorithms that fit the key.
func (j publicJWK) algorithms() []string {
	switch c, known := curves[j.CRV]; {
	case j.KTY == "RSA":
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case j.KTY == "EC" && known:
		return []string{c.algorithm}
	case j.KTY == "OKP" && j.CRV == "Ed25519":
		return []string{"EdDSA", "Ed25519"}
	}
	return nil
}

var (
	errKeyType  = errors.New("the type or the curve is not supported: a key is RSA, EC on P-256, P-384 or P-521, or OKP on Ed25519")
	errKeyPoint = errors.New("the coordinates are not a point on the curve")
)

// public checks the key and returns it as one of the standard library. Errors do not repeat members of the key.
func (j publicJWK) public() (crypto.PublicKey, error) {
	algorithms := j.algorithms()
	switch {
	case algorithms == nil:
		return nil, errKeyType
	case j.ALG != "" && !slices.Contains(algorithms, j.ALG):
		return nil, fmt.Errorf("alg does not fit the key: it must be %s", strings.Join(algorithms, ", "))
	}
	switch j.KTY {
	case "RSA":
		return j.rsa()
	case "EC":
		return j.ec(curves[j.CRV])
	}
	x, err := base64.RawURLEncoding.Strict().DecodeString(j.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("x must be %d bytes in base64url", ed25519.PublicKeySize)
	}
	return ed25519.PublicKey(x), nil
}

func (j publicJWK) ec(c curve) (crypto.PublicKey, error) {
	point := []byte{4} // uncompressed (SEC 1 §2.3.3)
	for _, text := range []string{j.X, j.Y} {
		coordinate, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err != nil || len(coordinate) != c.size() {
			return nil, fmt.Errorf("x and y must each be %d bytes in base64url", c.size())
		}
		point = append(point, coordinate...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(c.Curve, point)
	if err != nil {
		return nil, errKeyPoint
	}
	return public, nil
}

// Bounds of RSA keys, as internal/token has them. RFC 7518 §3.3 forbids keys below 2048 bits.
const (
	minRSABits, maxRSABits         = 2048, 8192
	minRSAExponent, maxRSAExponent = 65537, 1<<31 - 1
)

func (j publicJWK) rsa() (crypto.PublicKey, error) {
	modulus, err := base64.RawURLEncoding.Strict().DecodeString(j.N)
	exponent, errE := base64.RawURLEncoding.Strict().DecodeString(j.E)
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
	switch {
	case err != nil || errE != nil:
		return nil, errors.New("n and e must be in base64url")
	case n.BitLen() < minRSABits || n.BitLen() > maxRSABits:
		return nil, fmt.Errorf("an RSA key must have %d to %d bits, not %d", minRSABits, maxRSABits, n.BitLen())
	case !e.IsInt64() || e.Int64() < minRSAExponent || e.Int64() > maxRSAExponent || e.Bit(0) == 0:
		return nil, fmt.Errorf("the exponent of an RSA key must be odd, from %d to %d", minRSAExponent, maxRSAExponent)
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// canonical returns the key with its numbers in the encoding of RFC 7518 §6, as internal/token does for the keys of other
// issuers. Some programs pad base64url, keep the sign byte of a number, or leave out leading zeros.
func (j publicJWK) canonical() publicJWK {
	switch c, known := curves[j.CRV]; {
	case j.KTY == "RSA":
		j.N, j.E, j.CRV, j.X, j.Y = canonicalNumber(j.N, 0), canonicalNumber(j.E, 0), "", "", ""
	case j.KTY == "EC" && known:
		j.X, j.Y, j.N, j.E = canonicalNumber(j.X, c.size()), canonicalNumber(j.Y, c.size()), "", ""
	case j.KTY == "OKP":
		j.X, j.Y, j.N, j.E = strings.TrimRight(j.X, "="), "", "", ""
	}
	return j
}

func canonicalNumber(text string, size int) string {
	text = strings.TrimRight(text, "=")
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) == 0 {
		return text
	}
	if b = bytes.TrimLeft(b, "\x00"); len(b) < size {
		b = append(make([]byte, size-len(b)), b...)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}
