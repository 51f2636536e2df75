package token

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
)

// ClientKey is the private key of a client, which signs assertions and DPoP proofs. It is safe for concurrent use, and shows kid and algorithm when
// it is printed.
type ClientKey struct {
	kid    string
	alg    Alg
	public publicJWK
	sign   signFunc
}

// KeyID returns the kid of the key or, if the key has none, its thumbprint (RFC 7638).
func (k *ClientKey) KeyID() string { return k.kid }

// Format writes the algorithm and the kid, whatever the verb.
func (k ClientKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s key %s", k.alg, k.kid) }

// SignAs returns a JWT with encoded claims, and with a typ.
func (k *ClientKey) SignAs(typ string, claims []byte) (string, error) {
	header, err := encodeHeader(k.alg, k.kid, typ)
	if err != nil {
		return "", err
	}
	return k.signUnder(header, claims)
}

// SignProof returns a DPoP proof with the ID, the method, the URL, the time, the token's hash and the nonce of p, and with this key.
func (k *ClientKey) SignProof(p Proof) (string, error) {
	header, claims, err := p.encode(k.alg, k.public)
	if err != nil {
		return "", err
	}
	return k.signUnder(header, claims)
}

// signUnder signs claims under an encoded header.
func (k *ClientKey) signUnder(header string, claims []byte) (string, error) {
	input := header + encodeBase64(claims)
	sig, err := k.sign([]byte(input))
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return input + "." + encodeBase64(sig), nil
}

var (
	errNotPrivate = errors.New("it is neither a private key in PEM nor a private JWK")
	errEncrypted  = errors.New("the key is encrypted with a password; decrypt it first, for example with openssl pkey")
)

// ParseClientKey reads a private key: PEM (PKCS #8, SEC 1 or PKCS #1) or a JWK. The curve of an EC key and the type of an Ed25519 key
// determine the algorithm. An RSA key signs RS256 unless its JWK has another alg. Errors contain nothing of the key.
func ParseClientKey(data []byte) (*ClientKey, error) {
	if block, _ := pem.Decode(data); block != nil {
		private, err := parsePEM(block)
		if err != nil {
			return nil, err
		}
		return newClientKey(private, "", "")
	}
	var j privateJWK
	if len(data) > maxStoredKeySize || json.Unmarshal(data, &j) != nil || j.D == "" {
		return nil, errNotPrivate
	}
	alg, err := algOf(j.publicJWK)
	if err != nil {
		return nil, err
	}
	if err := j.publicJWK.check(alg); err != nil {
		return nil, err
	}
	private, err := privateOf(j)
	if err != nil {
		return nil, errStoredMismatch
	}
	return newClientKey(private, alg, j.Kid)
}

func parsePEM(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errEncrypted
	}
	signer, ok := key.(crypto.Signer)
	switch {
	case len(block.Headers) > 0: // as in "Proc-Type: 4,ENCRYPTED"
		return nil, errEncrypted
	case err != nil || !ok:
		return nil, errNotPrivate
	}
	return signer, nil
}

// algOf returns the algorithm of a JWK, or that which its type and curve imply.
func algOf(j publicJWK) (Alg, error) {
	switch algs := algsOfKey(j.Kty, j.Crv); {
	case j.Alg != "":
		return algNamed(j.Alg), nil
	case len(algs) == 0:
		return "", errors.New("the type or the curve of the key is not supported")
	case j.Kty == ktyRSA:
		return RS256, nil
	default:
		return algs[0], nil
	}
}

func newClientKey(private crypto.Signer, alg Alg, kid string) (*ClientKey, error) {
	switch key := private.(type) {
	case *ecdsa.PrivateKey:
		switch key.Curve {
		case elliptic.P256():
			alg = ES256
		case elliptic.P384():
			alg = ES384
		case elliptic.P521():
			alg = ES512
		}
	case *rsa.PrivateKey:
		alg = cmp.Or(alg, RS256)
	case ed25519.PrivateKey:
		alg = EdDSA
	}
	if alg == "" {
		return nil, errors.New("the type or the curve of the key is not supported")
	}
	j, err := newPrivateJWK(alg, private)
	if err != nil {
		return nil, err
	}
	if err := j.publicJWK.check(alg); err != nil {
		return nil, err
	}
	sign, err := newSignFunc(alg, private)
	return &ClientKey{kid: cmp.Or(kid, j.Kid), alg: alg, public: j.publicJWK, sign: sign}, err
}
