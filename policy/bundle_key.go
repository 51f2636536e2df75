package policy

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/bundle"
)

// BundleKey verifies signatures of bundles.
type BundleKey struct {
	// ID is the key's name, as the signature has it (kid, or keyid). A key that is the only one verifies
	// signatures of whatever name, for some have none.
	ID string
	// Material is a public key or a certificate in PEM, or the secret of an HMAC algorithm.
	Material string
	// Algorithm is the JWS algorithm (RFC 7518 §3.1). Default: RS256 for an RSA key, and for a key on
	// an elliptic curve the one that goes with it. A secret needs it said.
	Algorithm string
}

// secretBytes are the HMAC algorithms, and how many bytes their secrets have at least (RFC 7518 §3.2).
var secretBytes = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// rsaAlgs and curveAlgs are the other algorithms; each curve has its own.
var (
	rsaAlgs   = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	curveAlgs = map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
)

const minRSABits = 2048

// CheckBundleAlgorithm reports an algorithm that no bundle can be signed with.
func CheckBundleAlgorithm(alg string) error {
	if secretBytes[alg] > 0 || slices.Contains(rsaAlgs, alg) || slices.Contains([]string{"ES256", "ES384", "ES512"}, alg) {
		return nil
	}
	return fmt.Errorf("unknown algorithm %q; it is one of ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512, HS256, HS384 and HS512", alg)
}

// verification is what OPA needs to verify signatures; nil where there are no keys.
func verification(keys []BundleKey, scope string) (*bundle.VerificationConfig, error) {
	if len(keys) == 0 {
		if scope != "" {
			return nil, errors.New("a bundle's scope is one of its signature, so it needs a key")
		}
		return nil, nil
	}
	byID := make(map[string]*bundle.KeyConfig, len(keys))
	for _, key := range keys {
		if key.ID == "" {
			return nil, errors.New("a bundle key needs an id")
		}
		if byID[key.ID] != nil {
			return nil, fmt.Errorf("bundle key %q is given twice", key.ID)
		}
		config, err := key.config()
		if err != nil {
			return nil, fmt.Errorf("bundle key %q: %w", key.ID, err)
		}
		byID[key.ID] = config
	}
	only := ""
	if len(keys) == 1 {
		only = keys[0].ID
	}
	return bundle.NewVerificationConfig(byID, only, scope, nil), nil
}

// config holds a key against its algorithm: OPA takes the algorithm's word, and would make a secret of
// a public key, with which everybody could sign.
func (k BundleKey) config() (*bundle.KeyConfig, error) {
	if k.Algorithm != "" {
		if err := CheckBundleAlgorithm(k.Algorithm); err != nil {
			return nil, err
		}
	}
	block, rest := pem.Decode([]byte(k.Material))
	if block == nil {
		return k.secret()
	}
	if len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("there is more than one key")
	}
	public, err := parsePublicKey(block)
	if err != nil {
		return nil, err
	}
	alg, err := k.publicAlg(public)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, errors.New("it cannot be encoded")
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return &bundle.KeyConfig{Key: string(encoded), Algorithm: alg}, nil
}

func (k BundleKey) secret() (*bundle.KeyConfig, error) {
	least := secretBytes[k.Algorithm]
	switch {
	case k.Algorithm == "":
		return nil, errors.New("it is not in PEM; for a secret say its algorithm, such as HS256")
	case least == 0:
		return nil, fmt.Errorf("a key of %s is in PEM", k.Algorithm)
	case len(k.Material) < least:
		return nil, fmt.Errorf("a secret of %s has at least %d bytes (RFC 7518 §3.2)", k.Algorithm, least)
	}
	return &bundle.KeyConfig{Key: k.Material, Algorithm: k.Algorithm}, nil
}

func parsePublicKey(block *pem.Block) (public any, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = certificate.PublicKey
		}
	default:
		if strings.Contains(block.Type, "PRIVATE") {
			return nil, errors.New("it is a private key: keep that where bundles are signed, and give the public one here")
		}
		return nil, errors.New("it is neither a public key nor a certificate")
	}
	if err != nil {
		return nil, errors.New("it cannot be parsed")
	}
	return public, nil
}

// publicAlg is the algorithm of a public key, if the key is of use with it.
func (k BundleKey) publicAlg(public any) (string, error) {
	var algs []string
	switch key := public.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSABits {
			return "", fmt.Errorf("an RSA key has at least %d bits", minRSABits)
		}
		algs = rsaAlgs
	case *ecdsa.PublicKey:
		if alg := curveAlgs[key.Curve.Params().Name]; alg != "" {
			algs = []string{alg}
		}
	}
	switch {
	case secretBytes[k.Algorithm] > 0:
		return "", fmt.Errorf("it is in PEM and no secret: whoever knows the public key could sign with %s", k.Algorithm)
	case len(algs) == 0:
		return "", errors.New("it is neither RSA nor on one of the curves P-256, P-384 and P-521")
	case k.Algorithm == "":
		return algs[0], nil
	case !slices.Contains(algs, k.Algorithm):
		return "", fmt.Errorf("its algorithm is %s and not %s", strings.Join(algs, " or "), k.Algorithm)
	}
	return k.Algorithm, nil
}
