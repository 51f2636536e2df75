package token

import (
	"crypto"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Alg is a JWS signature algorithm by its JWA name (RFC 7518 §3.1, RFC 8037 §3.1).
type Alg string

// The algorithms that sign and verify.
const (
	ES256 Alg = "ES256" // ECDSA on P-256; the default
	RS256 Alg = "RS256" // RSASSA-PKCS1-v1_5, for verifiers that know nothing else
	PS256 Alg = "PS256" // RSASSA-PSS
	EdDSA Alg = "EdDSA" // Ed25519; see algNamed
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

// DefaultAlg is the default signing algorithm. It is small and fast, and every verifier supports it.
const DefaultAlg = ES256

var signingAlgs = []Alg{ES256, RS256, PS256, EdDSA}

// ParseAlg reads the name of a signing algorithm as JWA spells it. It returns DefaultAlg for "". The error for an unknown name
// lists the known ones.
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

// algorithm is what an Alg requires of its key.
type algorithm struct {
	kty string
	// crv is the only curve, "" for RSA.
	crv string
	// size is the length of one coordinate of a public key in bytes, 0 for RSA.
	size int
	// hash is what the input is hashed with, 0 for Ed25519.
	hash crypto.Hash
	// pss is set for RSASSA-PSS.
	pss bool
}

var algorithms = map[Alg]algorithm{
	ES256: {kty: ktyEC, crv: "P-256", size: 32, hash: crypto.SHA256},
	ES384: {kty: ktyEC, crv: "P-384", size: 48, hash: crypto.SHA384},
	ES512: {kty: ktyEC, crv: "P-521", size: 66, hash: crypto.SHA512},
	EdDSA: {kty: ktyOKP, crv: crvEd25519, size: 32},
	RS256: {kty: ktyRSA, hash: crypto.SHA256},
	RS384: {kty: ktyRSA, hash: crypto.SHA384},
	RS512: {kty: ktyRSA, hash: crypto.SHA512},
	PS256: {kty: ktyRSA, hash: crypto.SHA256, pss: true},
	PS384: {kty: ktyRSA, hash: crypto.SHA384, pss: true},
	PS512: {kty: ktyRSA, hash: crypto.SHA512, pss: true},
}

// algNamed returns the algorithm of a name in a header or a JWK. RFC 9864 §2.2 deprecates the name EdDSA, which several
// curves share, in favour of Ed25519. Both name the same signatures of the same keys here.
func algNamed(name string) Alg {
	if name == "Ed25519" {
		return EdDSA
	}
	return Alg(name)
}

// ParseAcceptedAlgs reads the names of algorithms whose signatures are to be accepted. Symmetric algorithms and "none" are
// not among them.
func ParseAcceptedAlgs(names []string) ([]Alg, error) {
	var algs []Alg
	for _, name := range names {
		alg := algNamed(name)
		if algorithms[alg] == (algorithm{}) {
			return nil, fmt.Errorf("unsupported signature algorithm %q: it must be one of %s", name, joinAlgs(slices.Sorted(maps.Keys(algorithms))))
		}
		algs = append(algs, alg)
	}
	return algs, nil
}

// algsOfKey returns the algorithms that a key without alg fits. The curve of an EC or OKP key determines it. An RSA key
// fits six.
func algsOfKey(kty, crv string) []Alg {
	var algs []Alg
	for _, alg := range slices.Sorted(maps.Keys(algorithms)) {
		if a := algorithms[alg]; a.kty == kty && a.crv == crv {
			algs = append(algs, alg)
		}
	}
	return algs
}
