package token

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// KeySet is an immutable set of public keys, each with its kid and its only algorithm. A nil KeySet is empty.
type KeySet struct {
	keys map[string]*publicKey
	jwks []byte
}

// NewKeySet returns a set of the public parts of keys. Of several keys with one kid it takes the first. It ignores nil keys.
func NewKeySet(keys ...*SigningKey) *KeySet {
	public := make(map[string]*publicKey, len(keys))
	for _, k := range keys {
		if k == nil || public[k.ID()] != nil {
			continue
		}
		public[k.ID()] = k.public
	}
	return newKeySet(public)
}

func newKeySet(keys map[string]*publicKey) *KeySet {
	list := make([]publicJWK, 0, len(keys))
	for _, kid := range slices.Sorted(maps.Keys(keys)) {
		list = append(list, keys[kid].jwk)
	}
	// Strings always encode if invalid UTF-8 is allowed.
	jwks, _ := json.Marshal(map[string][]publicJWK{"keys": list}, jsontext.AllowInvalidUTF8(true))
	return &KeySet{keys: keys, jwks: jwks}
}

// JWKS returns the set as a JWK Set (RFC 7517 §5), sorted by kid. It has public members only, with alg, kid and use "sig".
func (s *KeySet) JWKS() []byte {
	if s == nil {
		return []byte(`{"keys":[]}`)
	}
	return slices.Clone(s.jwks)
}

// Has reports whether the key kid is in the set.
func (s *KeySet) Has(kid string) bool { return s.key(kid) != nil }

// Len returns the number of keys.
func (s *KeySet) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

func (s *KeySet) key(kid string) *publicKey {
	if s == nil {
		return nil
	}
	return s.keys[kid]
}

// KeyWithdrawn reports whether an issuer no longer has the key kid, from its answer to a request for its keys: a set, or
// an error. An *Error says that the key was revoked. Another error says nothing about the key, and KeyWithdrawn returns
// it.
func KeyWithdrawn(kid string, keys *KeySet, err error) (bool, error) {
	switch {
	case ErrorReason(err) != "":
		return true, nil
	case err != nil:
		return false, err
	}
	return !keys.Has(kid), nil
}
