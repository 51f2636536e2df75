package token

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

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

// useJWTSVID is the use of keys for JWT-SVIDs, in the bundle of a SPIFFE trust domain (SPIFFE JWT-SVID §5). They verify JWTs.
const useJWTSVID = "jwt-svid"

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

// any reports whether one is there. Serializers of some issuers write null for a member that a key does not have.
func (m secretMembers) any() bool {
	return slices.ContainsFunc([]jsontext.Value{m.D, m.P, m.Q, m.DP, m.DQ, m.QI, m.Oth, m.K},
		func(v jsontext.Value) bool { return v != nil && v.Kind() != jsontext.KindNull })
}

// Errors of keys that are left out of a set.
var (
	// ErrOtherUse is the error of a key that is not for signatures, as many issuers publish.
	ErrOtherUse    = errors.New("it is not for signatures")
	errCompromised = errors.New("a symmetric or private key was published: treat it as compromised")
)

// ParseKeySet reads a JWK Set (RFC 7517 §5) of another issuer. It leaves out a key that cannot verify tokens, is weak or is
// malformed, because one odd key says nothing of the others. For each of them skipped has an error that names the key and
// says why. Keys may share a kid, and may have none. ParseKeySet fails if jwks is not a JWK Set, is larger than MaxJWKSSize
// or MaxKeys, or has no usable key.
func ParseKeySet(jwks []byte) (keys *KeySet, skipped []error, err error) {
	list, err := splitJWKS(jwks)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing key set: %w", err)
	}
	var usable []*publicKey
	compromised := make(map[publicJWK]bool)
	for i, data := range list {
		j, key, err := parseRemoteKey(data)
		switch {
		case err != nil:
			skipped = append(skipped, fmt.Errorf("key %d, %s: %w", i+1, quoteKeyID(j.Kid), err))
			if errors.Is(err, errCompromised) {
				compromised[j.material()] = true
			}
		case !slices.ContainsFunc(usable, func(other *publicKey) bool { return other.jwk == key.jwk }):
			usable = append(usable, key)
		}
	}
	usable = slices.DeleteFunc(usable, func(key *publicKey) bool {
		if compromised[key.jwk.material()] {
			skipped = append(skipped, fmt.Errorf("%s: %w", quoteKeyID(key.jwk.Kid), errCompromised))
			return true
		}
		return false
	})
	if len(usable) == 0 {
		return nil, skipped, errors.New("parsing key set: it holds no usable key")
	}
	return newKeySet(usable), skipped, nil
}

// splitJWKS returns the keys of a set as they stand. What is odd within one is an error of that key alone.
func splitJWKS(data []byte) ([]jsontext.Value, error) {
	if len(data) > MaxJWKSSize {
		return nil, fmt.Errorf("larger than %d bytes", MaxJWKSSize)
	}
	var set struct {
		Keys onlyKeys `json:"keys"`
	}
	if err := json.Unmarshal(data, &set, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
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

// onlyKeys are the keys of a set that has one array of them.
type onlyKeys []jsontext.Value

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (k *onlyKeys) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if *k != nil {
		return errors.New("repeated keys")
	}
	return json.UnmarshalDecode(dec, (*[]jsontext.Value)(k))
}

func parseRemoteKey(data jsontext.Value) (publicJWK, *publicKey, error) {
	var j remoteJWK
	if data.Kind() != '{' {
		return publicJWK{}, nil, errors.New("not an object")
	}
	if err := json.Unmarshal(data, &j); err != nil {
		return j.publicJWK, nil, errors.New("it is malformed, or a member has a value of the wrong type")
	}
	j.publicJWK = j.canonical() // also of a key that is refused: its public part may be published as well
	if err := j.check(); err != nil {
		return j.publicJWK, nil, err
	}
	algs := algsOfKey(j.Kty, j.Crv)
	if j.Alg != "" {
		algs = []Alg{algNamed(j.Alg)}
	}
	key, err := newKeyOf(j.publicJWK, algs)
	return j.publicJWK, key, err
}

// canonical returns the key with its numbers in the encoding of RFC 7518 §6. Some issuers pad base64url, keep the sign byte of
// a signed number, or leave out leading zeros. All that is the same number. Others stay as they are, to be refused.
func (j publicJWK) canonical() publicJWK {
	switch j.Kty {
	case ktyRSA:
		j.N, j.E = canonicalUint(j.N, 0), canonicalUint(j.E, 0)
	case ktyEC:
		for _, a := range algorithms {
			if a.kty == ktyEC && a.crv == j.Crv {
				j.X, j.Y = canonicalUint(j.X, a.size), canonicalUint(j.Y, a.size)
			}
		}
	case ktyOKP:
		j.X = strings.TrimRight(j.X, "=")
	}
	return j
}

// canonicalUint encodes a number without leading zeros, or in a number of bytes if it has no more.
func canonicalUint(text string, size int) string {
	text = strings.TrimRight(text, "=")
	b, err := decodeBase64(text)
	if err != nil || len(b) == 0 {
		return text
	}
	if b = bytes.TrimLeft(b, "\x00"); len(b) < size {
		b = append(make([]byte, size-len(b)), b...)
	}
	return encodeBase64(b)
}

// check fails if the key is for something else than to verify tokens.
func (j remoteJWK) check() error {
	switch {
	case j.secretMembers.any():
		return errCompromised
	case len(j.Kid) > MaxKeyIDSize:
		return fmt.Errorf("kid is longer than %d bytes", MaxKeyIDSize)
	case j.Use != "" && j.Use != useSignature && j.Use != useJWTSVID:
		return fmt.Errorf("its use is not sig: %w", ErrOtherUse)
	case j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify"):
		return fmt.Errorf("its key_ops do not hold verify: %w", ErrOtherUse)
	}
	return nil
}

func quoteKeyID(kid string) string {
	const shown = 64
	if kid == "" {
		return "no kid"
	}
	if len(kid) > shown {
		return fmt.Sprintf("kid %q...", kid[:shown])
	}
	return fmt.Sprintf("kid %q", kid)
}
