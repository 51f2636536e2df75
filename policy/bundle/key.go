package bundle

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	opa "github.com/open-policy-agent/opa/v1/bundle"
)

// Key verifies signatures of bundles.
type Key struct {
	// ID is the name of the key in a signature (kid, or keyid). A single key verifies signatures with any name, because
	// some have none.
	ID string
	// Material is a public key or a certificate in PEM, or the secret of an HMAC algorithm.
	Material string
	// Algorithm is the JWS algorithm (RFC 7518 §3.1). A secret needs one. Default: RS256 for an RSA key, and the
	// algorithm of its curve for an elliptic curve key.
	Algorithm string
}

// secretBytes holds the least size of a secret for each HMAC algorithm (RFC 7518 §3.2).
var secretBytes = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// rsaAlgs and curveAlgs hold the other algorithms. Each curve has its own.
var (
	rsaAlgs   = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	curveAlgs = map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
)

const minRSABits = 2048

// CheckAlgorithm reports an algorithm that this program does not verify.
func CheckAlgorithm(alg string) error {
	if secretBytes[alg] > 0 || slices.Contains(rsaAlgs, alg) || slices.Contains([]string{"ES256", "ES384", "ES512"}, alg) {
		return nil
	}
	return fmt.Errorf("unknown algorithm %q; it is one of ES256, ES384, ES512, RS256, RS384, RS512, PS256, PS384, PS512, HS256, HS384 and HS512", alg)
}

// verification returns what OPA needs to verify signatures, or nil if there are no keys.
func verification(keys []Key, scope string) (*opa.VerificationConfig, error) {
	if len(keys) == 0 {
		if scope != "" {
			return nil, errors.New("a bundle's scope is part of its signature, so it needs a key")
		}
		return nil, nil
	}
	byID := make(map[string]*opa.KeyConfig, len(keys))
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
	return opa.NewVerificationConfig(byID, only, scope, nil), nil
}

// config checks that a key fits its algorithm. OPA does not, and would use a public key as a secret, so that anyone could
// sign with it.
func (k Key) config() (*opa.KeyConfig, error) {
	if k.Algorithm != "" {
		if err := CheckAlgorithm(k.Algorithm); err != nil {
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
	return &opa.KeyConfig{Key: string(encoded), Algorithm: alg}, nil
}

func (k Key) secret() (*opa.KeyConfig, error) {
	least := secretBytes[k.Algorithm]
	switch {
	case k.Algorithm == "":
		return nil, errors.New("it is not in PEM; a secret needs an algorithm, such as HS256")
	case least == 0:
		return nil, fmt.Errorf("a key of %s is in PEM", k.Algorithm)
	case len(k.Material) < least:
		return nil, fmt.Errorf("a secret of %s has at least %d bytes (RFC 7518 §3.2)", k.Algorithm, least)
	}
	return &opa.KeyConfig{Key: k.Material, Algorithm: k.Algorithm}, nil
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
			return nil, errors.New("it is a private key: keep it where bundles are signed, and configure the public key here")
		}
		return nil, errors.New("it is neither a public key nor a certificate")
	}
	if err != nil {
		return nil, errors.New("it cannot be parsed")
	}
	return public, nil
}

// publicAlg returns the algorithm of a public key, or why the key cannot be used with it.
func (k Key) publicAlg(public any) (string, error) {
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
		return "", fmt.Errorf("it is in PEM and not a secret: anyone who knows the public key could sign with %s", k.Algorithm)
	case len(algs) == 0:
		return "", errors.New("it is neither RSA nor on one of the curves P-256, P-384 and P-521")
	case k.Algorithm == "":
		return algs[0], nil
	case !slices.Contains(algs, k.Algorithm):
		return "", fmt.Errorf("its algorithm is %s and not %s", strings.Join(algs, " or "), k.Algorithm)
	}
	return k.Algorithm, nil
}
