package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
)

// rsaKeyBits is the size of new RSA keys. 2048 bits are fewer than advised for data that must last beyond 2030, but a token
// lives for minutes, and 3072 bits would triple the millisecond that a signature costs. Stored keys may be larger. ES256 and
// EdDSA have 128 bits of security at a lower cost.
const rsaKeyBits = 2048

// SigningKey is a private key with its kid and its only algorithm. It is safe for concurrent use. When it is printed, logged
// or encoded as JSON it shows kid and algorithm. Only MarshalPrivate returns the private key.
type SigningKey struct {
	public *publicKey
	header string
	sign   signFunc
	signs  *facts // what is known of every token of the key with this header
	// private is a func because reflection, and therefore fmt, cannot read what a func captures.
	private func() privateJWK
}

// GenerateKey generates a key: P-256 for ES256, RSA of 2048 bits for RS256 and PS256, Ed25519 for EdDSA. It fails for an
// algorithm that ParseAlg does not allow.
func GenerateKey(alg Alg) (*SigningKey, error) {
	private, err := generate(alg)
	if err != nil {
		return nil, fmt.Errorf("generating key: %w", err)
	}
	return newSigningKey(alg, private)
}

func generate(alg Alg) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256, PS256:
		return rsa.GenerateKey(rand.Reader, rsaKeyBits)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, unsupportedAlg(alg)
}

func newSigningKey(alg Alg, private crypto.Signer) (*SigningKey, error) {
	j, err := newPrivateJWK(alg, private)
	if err != nil {
		return nil, err
	}
	public, err := newPublicKey(j.publicJWK, alg)
	if err != nil {
		return nil, err
	}
	header, err := encodeHeader(alg, j.Kid, AccessTokenType)
	if err != nil {
		return nil, err
	}
	sign, err := newSignFunc(alg, private)
	if err != nil {
		return nil, err
	}
	signs, err := factsOf(header, public)
	if err != nil {
		return nil, err
	}
	return &SigningKey{public: public, header: header, sign: sign, signs: signs, private: func() privateJWK { return j }}, nil
}

// factsOf returns what is known of tokens with an encoded header that a key has signed.
func factsOf(encoded string, key *publicKey) (*facts, error) {
	decoded, err := decodeBase64(strings.TrimSuffix(encoded, "."))
	if err != nil {
		return nil, err
	}
	header, err := parseHeader(decoded, headerRules{})
	return &facts{header: header, checks: []check{{print: key.print}}}, err
}

// ID returns the kid: the base64url SHA-256 thumbprint of the public part (RFC 7638).
func (k SigningKey) ID() string { return k.public.jwk.Kid }

// Alg returns the algorithm that the key signs with.
func (k SigningKey) Alg() Alg { return k.public.alg }

// Sign returns a token with claims, an encoded JSON object as Mint.Claims returns it. The token is a JWS in compact
// serialization (RFC 7515 §7.1) with the header members alg, kid and typ "at+jwt" (RFC 9068 §2.1). Sign does not check the
// claims and holds no lock.
func (k SigningKey) Sign(claims []byte) (string, error) { return k.signUnder(k.header, claims) }

// signUnder signs claims under an encoded header.
func (k SigningKey) signUnder(header string, claims []byte) (string, error) {
	encoded := base64.RawURLEncoding.EncodedLen
	input := make([]byte, 0, len(header)+encoded(len(claims))+len(".")+encoded(k.public.sigSize))
	input = append(input, header...)
	input = base64.RawURLEncoding.AppendEncode(input, claims)
	sig, err := k.sign(input)
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	input = append(input, '.')
	return string(base64.RawURLEncoding.AppendEncode(input, sig)), nil
}

// encodeHeader returns the first part of all tokens of a key and a type, with the dot behind it.
func encodeHeader(alg Alg, kid, typ string) (string, error) {
	header, err := json.Marshal(struct {
		Alg Alg    `json:"alg"`
		Kid string `json:"kid"`
		Typ string `json:"typ"`
	}{alg, kid, typ})
	if err != nil {
		return "", fmt.Errorf("encoding header: %w", err)
	}
	return encodeBase64(header) + ".", nil
}

// String returns the algorithm and the kid.
func (k SigningKey) String() string {
	if k.public == nil {
		return "no signing key"
	}
	return fmt.Sprintf("%s signing key %s", k.Alg(), k.ID())
}

// Format writes String, whatever the verb.
func (k SigningKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// MarshalJSON returns String as JSON.
func (k SigningKey) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }
