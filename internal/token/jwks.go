package token

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of a key set from elsewhere.
const (
	// MaxJWKSSize is the largest JWK Set that ParseKeySet reads, in bytes.
	MaxJWKSSize = 256 << 10
	// MaxKeys is the greatest number of keys in one.
	MaxKeys = 100
	// MaxKeyIDSize is the longest kid, in bytes.
	MaxKeyIDSize = 256
)

// remoteJWK is a key of another issuer. It has the members of private and symmetric keys, so that such keys are refused.
type remoteJWK struct {
	publicJWK
	KeyOps []string `json:"key_ops"`
	secretMembers
}

type secretMembers struct {
	D   jsontext.Value `json:"d"`
	P   jsontext.Value `json:"p"`
	Q   jsontext.Value `json:"q"`
	DP  jsontext.Value `json:"dp"`
	DQ  jsontext.Value `json:"dq"`
	QI  jsontext.Value `json:"qi"`
	Oth jsontext.Value `json:"oth"`
	K   jsontext.Value `json:"k"`
}

func (m secretMembers) any() bool {
	return slices.ContainsFunc([]jsontext.Value{m.D, m.P, m.Q, m.DP, m.DQ, m.QI, m.Oth, m.K},
		func(v jsontext.Value) bool { return v != nil })
}

// ParseKeySet reads a JWK Set (RFC 7517 §5) of another issuer. It leaves out a key that cannot verify tokens, is weak or is
// malformed, and all keys that share a kid. For each of them skipped has an error that names the key and says why.
// ParseKeySet fails if jwks is not a JWK Set, is larger than MaxJWKSSize or MaxKeys, or has no usable key.
//
// A key without alg gets the algorithm of its curve. An RSA key gets RS256.
func ParseKeySet(jwks []byte) (keys *KeySet, skipped []error, err error) {
	list, err := splitJWKS(jwks)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing key set: %w", err)
	}
	usable := make(map[string]*publicKey, len(list))
	seen := make(map[string]int, len(list))
	for i, data := range list {
		kid, key, err := parseRemoteKey(data)
		if kid != "" {
			seen[kid]++
		}
		if err != nil {
			skipped = append(skipped, fmt.Errorf("key %d, %s: %w", i+1, quoteKeyID(kid), err))
			continue
		}
		usable[kid] = key
	}
	skipped = append(skipped, dropRepeated(usable, seen)...)
	if len(usable) == 0 {
		return nil, skipped, errors.New("parsing key set: it holds no usable key")
	}
	return newKeySet(usable), skipped, nil
}

func splitJWKS(data []byte) ([]jsontext.Value, error) {
	if len(data) > MaxJWKSSize {
		return nil, fmt.Errorf("larger than %d bytes", MaxJWKSSize)
	}
	var set struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, errors.New("not one JSON object with an array of keys")
	}
	if set.Keys == nil {
		return nil, errors.New("no array of keys")
	}
	if len(set.Keys) > MaxKeys {
		return nil, fmt.Errorf("more than %d keys", MaxKeys)
	}
	return set.Keys, nil
}

func parseRemoteKey(data jsontext.Value) (kid string, _ *publicKey, _ error) {
	var j remoteJWK
	if data.Kind() != '{' {
		return "", nil, errors.New("not an object")
	}
	if err := json.Unmarshal(data, &j); err != nil {
		return j.Kid, nil, errors.New("a member has a value of the wrong type")
	}
	alg, err := j.usableAlg()
	if err != nil {
		return j.Kid, nil, err
	}
	key, err := newPublicKey(j.publicJWK, alg)
	return j.Kid, key, err
}

// usableAlg returns the algorithm that the key verifies with. It fails if the key is for something else.
func (j remoteJWK) usableAlg() (Alg, error) {
	switch {
	case j.Kid == "":
		return "", errors.New("no kid")
	case len(j.Kid) > MaxKeyIDSize:
		return "", fmt.Errorf("kid is longer than %d bytes", MaxKeyIDSize)
	case j.secretMembers.any():
		return "", errors.New("a symmetric or private key was published: treat it as compromised")
	case j.Use != "" && j.Use != useSignature:
		return "", errors.New("its use is not sig")
	case j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify"):
		return "", errors.New("its key_ops do not hold verify")
	case j.Alg != "":
		return Alg(j.Alg), nil
	}
	alg, ok := algOfKey(j.Kty, j.Crv)
	if !ok {
		return "", errors.New("unsupported key type or curve")
	}
	return alg, nil
}

func dropRepeated(usable map[string]*publicKey, seen map[string]int) (skipped []error) {
	for _, kid := range slices.Sorted(maps.Keys(seen)) {
		if seen[kid] > 1 && usable[kid] != nil {
			delete(usable, kid)
			skipped = append(skipped, fmt.Errorf("%s: several keys share this kid", quoteKeyID(kid)))
		}
	}
	return skipped
}

func quoteKeyID(kid string) string {
	const shown = 64
	if len(kid) > shown {
		return fmt.Sprintf("kid %q...", kid[:shown])
	}
	return fmt.Sprintf("kid %q", kid)
}
