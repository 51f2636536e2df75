package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Signatures are those of the standard library, by raw keys. The JOSE library copies a key for each signature, for which
// crypto/ecdsa prepares the copy each time.

// signFunc signs input. It may change what is behind the input, up to its capacity.
type signFunc func(input []byte) ([]byte, error)

// verifyFunc checks that sig is the signature of input. It returns an error if not.
type verifyFunc func(input, sig []byte) error

var (
	errWrongSignature = errors.New("wrong signature")
	errNotDER         = errors.New("the signature is not in the encoding of the standard library")
)

// signerOptions are what a crypto.Signer needs to know of an algorithm. The hash is 0 for Ed25519, which hashes itself.
func (a algorithm) signerOptions() crypto.SignerOpts {
	if a.pss {
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: a.hash} // RFC 7518 §3.5
	}
	return a.hash
}

// digest returns what is signed: the hash of the input, or the input itself. It appends the hash to room.
func (a algorithm) digest(room, input []byte) []byte {
	n := len(room)
	switch a.hash {
	case crypto.SHA256:
		sum := sha256.Sum256(input)
		return append(room, sum[:]...)[n:]
	case crypto.SHA384:
		sum := sha512.Sum384(input)
		return append(room, sum[:]...)[n:]
	case crypto.SHA512:
		sum := sha512.Sum512(input)
		return append(room, sum[:]...)[n:]
	}
	return input
}

func newSignFunc(alg Alg, private crypto.Signer) (signFunc, error) {
	a, ok := algorithms[alg]
	if !ok {
		return nil, unsupportedAlg(alg)
	}
	options := a.signerOptions()
	return func(input []byte) ([]byte, error) {
		sig, err := private.Sign(rand.Reader, a.digest(input, input), options)
		if err != nil || a.kty != ktyEC {
			return sig, err
		}
		return fixedSize(sig, a.size)
	}, nil
}

// maxCoordinate is the size of the largest curve's order, that of P-521.
const maxCoordinate = 66

// fixedSize converts an ECDSA signature from ASN.1 to the form of a JWS: r and s, each of the size of the curve's order (RFC
// 7518 §3.4). It overwrites der.
func fixedSize(der []byte, size int) ([]byte, error) {
	var sequence cryptobyte.String
	var r, s []byte
	input := cryptobyte.String(der)
	if !input.ReadASN1(&sequence, asn1.SEQUENCE) || !input.Empty() ||
		!sequence.ReadASN1Integer(&r) || !sequence.ReadASN1Integer(&s) || !sequence.Empty() || len(r) > size || len(s) > size {
		return nil, errNotDER
	}
	var sig [2 * maxCoordinate]byte
	copy(sig[size-len(r):], r)
	copy(sig[2*size-len(s):], s)
	return append(der[:0], sig[:2*size]...), nil
}

// encodeDER converts a signature back to ASN.1. ecdsa.Verify does so as well, by way of big.Int and with many allocations.
func encodeDER(sig []byte) []byte {
	const head = 3 // the longest of a sequence: a tag and two bytes of length
	der := make([]byte, head, head+len(sig)+6)
	der = appendDER(appendDER(der, sig[:len(sig)/2]), sig[len(sig)/2:])
	if length := len(der) - head; length >= 0x80 {
		der[0], der[1], der[2] = byte(asn1.SEQUENCE), 0x81, byte(length)
		return der
	}
	der[1], der[2] = byte(asn1.SEQUENCE), byte(len(der)-head)
	return der[1:]
}

// appendDER appends an integer of at most 66 bytes: without leading zeros, and with one if it would be negative otherwise.
func appendDER(der, integer []byte) []byte {
	for len(integer) > 1 && integer[0] == 0 {
		integer = integer[1:]
	}
	if integer[0] >= 0x80 {
		der = append(der, byte(asn1.INTEGER), byte(len(integer)+1), 0)
	} else {
		der = append(der, byte(asn1.INTEGER), byte(len(integer)))
	}
	return append(der, integer...)
}

// newVerifyFunc returns the signature check of one key, which takes signatures of the right length. It fails if the key is not
// one of the algorithm: without a hash, RSA would take the input itself for a hash.
func newVerifyFunc(alg Alg, public crypto.PublicKey) (verifyFunc, error) {
	a, kty := algorithms[alg], ""
	var verify func(digest, sig []byte) bool
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		kty, verify = ktyEC, func(digest, sig []byte) bool { return ecdsa.VerifyASN1(key, digest, encodeDER(sig)) }
	case ed25519.PublicKey:
		kty, verify = ktyOKP, func(input, sig []byte) bool { return ed25519.Verify(key, input, sig) }
	case *rsa.PublicKey:
		kty, verify = ktyRSA, func(digest, sig []byte) bool { return a.verifyRSA(key, digest, sig) == nil }
	}
	if kty == "" || kty != a.kty {
		return nil, fmt.Errorf("preparing %s: unsupported type of key", alg)
	}
	return func(input, sig []byte) error {
		if !verify(a.digest(nil, input), sig) {
			return errWrongSignature
		}
		return nil
	}, nil
}

// verifyRSA requires a salt of the length of the hash for RSASSA-PSS (RFC 7518 §3.5).
func (a algorithm) verifyRSA(key *rsa.PublicKey, digest, sig []byte) error {
	if a.pss {
		return rsa.VerifyPSS(key, a.hash, digest, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	return rsa.VerifyPKCS1v15(key, a.hash, digest, sig)
}
