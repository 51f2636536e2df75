package token

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
)

// Alg is a JWS signature algorithm by its JWA name (RFC 7518 §3.1, RFC 8037 §3.1).
type Alg string

// The algorithms that sign, and with which tokens are verified too.
const (
	ES256 Alg = "ES256" // ECDSA on P-256; the default
	RS256 Alg = "RS256" // RSASSA-PKCS1-v1_5, for verifiers that know nothing else
	PS256 Alg = "PS256" // RSASSA-PSS
	EdDSA Alg = "EdDSA" // Ed25519
)

// The algorithms that only verify, for the tokens of other issuers.
const (
	ES384 Alg = "ES384"
	ES512 Alg = "ES512"
	RS384 Alg = "RS384"
	RS512 Alg = "RS512"
	PS384 Alg = "PS384"
	PS512 Alg = "PS512"
)

// DefaultAlg is what signs when nothing else is asked for: small, quick, and known to every
// verifier in use.
const DefaultAlg = ES256

var signingAlgs = []Alg{ES256, RS256, PS256, EdDSA}

// ParseAlg reads the name of a signing algorithm, exactly as JWA spells it. "" is DefaultAlg. The
// error for any other name lists what is allowed.
func ParseAlg(name string) (Alg, error) {
	if name == "" {
		return DefaultAlg, nil
	}
	if !slices.Contains(signingAlgs, Alg(name)) {
		return "", unsupportedAlg(Alg(name))
	}
	return Alg(name), nil
}

func unsupportedAlg(alg Alg) error {
	return fmt.Errorf("unsupported signing algorithm %q: it must be one of %s", alg, joinAlgs(signingAlgs))
}

func joinAlgs(algs []Alg) string {
	names := make([]string, len(algs))
	for i, alg := range algs {
		names[i] = string(alg)
	}
	return strings.Join(names, ", ")
}

// Key types and curves (RFC 7518 §6.1, RFC 8037 §2).
const (
	ktyEC  = "EC"
	ktyRSA = "RSA"
	ktyOKP = "OKP"

	crvEd25519 = "Ed25519"
)

// algorithm is what an Alg asks of its key.
type algorithm struct {
	kty string
	// crv is the only curve, "" for RSA.
	crv string
	// size is the length of one coordinate of a public key in bytes, 0 for RSA.
	size int
	// pss is the hash of RSASSA-PSS, 0 for all else.
	pss crypto.Hash
}

var algorithms = map[Alg]algorithm{
	ES256: {kty: ktyEC, crv: "P-256", size: 32},
	ES384: {kty: ktyEC, crv: "P-384", size: 48},
	ES512: {kty: ktyEC, crv: "P-521", size: 66},
	EdDSA: {kty: ktyOKP, crv: crvEd25519, size: 32},
	RS256: {kty: ktyRSA},
	RS384: {kty: ktyRSA},
	RS512: {kty: ktyRSA},
	PS256: {kty: ktyRSA, pss: crypto.SHA256},
	PS384: {kty: ktyRSA, pss: crypto.SHA384},
	PS512: {kty: ktyRSA, pss: crypto.SHA512},
}

// algOfKey derives the algorithm of a key that does not say. For EC and OKP the curve leaves no
// choice. An RSA key could be used with six: RS256 is what publishers who say nothing mean, being
// OpenID Connect's default, and to take any of the six would let a token choose.
func algOfKey(kty, crv string) (Alg, bool) {
	if kty == ktyRSA {
		return RS256, true
	}
	for _, alg := range []Alg{ES256, ES384, ES512, EdDSA} {
		if a := algorithms[alg]; a.kty == kty && a.crv == crv {
			return alg, true
		}
	}
	return "", false
}
