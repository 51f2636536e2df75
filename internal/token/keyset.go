package token

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// KeySet is an immutable set of public keys. Those of this program have each their own kid and one algorithm. The keys of
// other issuers may share a kid or have none, and may have no algorithm. A nil KeySet is empty.
type KeySet struct {
	keys    []*publicKey
	byID    map[string][]*publicKey
	prints  map[string]bool // the thumbprints of all
	unnamed []*publicKey    // those without a kid
	jwks    []byte
}

// NewKeySet returns a set of the public parts of keys. Of several keys with one kid it takes the first. It ignores nil keys.
func NewKeySet(keys ...*SigningKey) *KeySet {
	var public []*publicKey
	for _, k := range keys {
		if k != nil && !slices.ContainsFunc(public, func(other *publicKey) bool { return other.id == k.ID() }) {
			public = append(public, k.public)
		}
	}
	return newKeySet(public)
}

func newKeySet(keys []*publicKey) *KeySet {
	s := &KeySet{byID: make(map[string][]*publicKey, len(keys)), prints: make(map[string]bool, len(keys))}
	s.keys = slices.SortedStableFunc(slices.Values(keys), func(a, b *publicKey) int { return strings.Compare(a.id, b.id) })
	list := make([]publicJWK, 0, len(keys))
	for _, key := range s.keys {
		s.byID[key.id] = append(s.byID[key.id], key)
		s.prints[key.print] = true
		if key.jwk.Kid == "" {
			s.unnamed = append(s.unnamed, key)
		}
		list = append(list, key.jwk)
	}
	// Strings always encode if invalid UTF-8 is allowed.
	s.jwks, _ = json.Marshal(map[string][]publicJWK{"keys": list}, jsontext.AllowInvalidUTF8(true))
	return s
}

// JWKS returns the set as a JWK Set (RFC 7517 §5), sorted by kid. It has public members only, with use "sig", and with alg
// and kid if the key has them.
func (s *KeySet) JWKS() []byte {
	if s == nil {
		return []byte(`{"keys":[]}`)
	}
	return slices.Clone(s.jwks)
}

// Has reports whether the key id is in the set: the key with this kid or, if it has no kid, with this thumbprint (RFC 7638).
func (s *KeySet) Has(id string) bool { return s != nil && len(s.byID[id]) > 0 }

// HasFor reports whether a key of the set may have signed a token with this kid, which is "" if the token has none. It
// reports true as well for the Verified.KeyID of a key.
func (s *KeySet) HasFor(kid string) bool {
	return s != nil && kid != missingKey && (len(s.named(kid)) > 0 || s.prints[kid])
}

// WithThumbprints returns the set with each key known by its thumbprint, too (RFC 7638), unless that is the kid of another key. It
// is for the keys of clients: a client that has only the key does not know which kid others gave it. The keys of issuers are
// known by their kid alone, because feeds name revoked keys by it.
func (s *KeySet) WithThumbprints() *KeySet {
	if s == nil {
		return nil
	}
	both := *s
	both.byID = maps.Clone(s.byID)
	for _, key := range s.keys {
		if len(s.byID[key.print]) == 0 {
			both.byID[key.print] = append(both.byID[key.print], key)
		}
	}
	return &both
}

// HasThumbprint reports whether the key with a thumbprint (RFC 7638) is in the set.
func (s *KeySet) HasThumbprint(thumbprint string) bool { return s != nil && s.prints[thumbprint] }

// named returns the keys that a kid may mean. RFC 7515 §4.1.4 leaves open what it means to a key without a kid, so such a
// key is one of them unless another has the kid.
func (s *KeySet) named(kid string) []*publicKey {
	switch keys := s.byID[kid]; {
	case kid == "":
		return s.keys
	case len(keys) > 0:
		return keys
	}
	return s.unnamed
}

// maxCandidates bounds how many signature checks a token can cause.
const maxCandidates = 8

// candidates returns the keys that may have signed a token, chosen by kid and alg (RFC 7517 §4.5). The algorithms are those
// that are accepted, or nil for those of the keys. It appends to the given slice.
func (s *KeySet) candidates(kid string, alg Alg, algs []Alg, fitting []*publicKey) ([]*publicKey, error) {
	if s == nil || kid == missingKey || len(s.named(kid)) == 0 {
		return nil, refuse(UnknownKey, "kid names no known key")
	}
	for _, key := range s.named(kid) {
		if key.takes(alg, algs) {
			fitting = append(fitting, key)
		}
	}
	switch {
	case len(fitting) == 0:
		return nil, refuse(WrongAlgorithm, "alg is not the algorithm of the key")
	case len(fitting) > maxCandidates:
		return nil, refuse(UnknownKey, "more keys than are tried may have signed the token")
	}
	return fitting, nil
}

// Len returns the number of keys.
func (s *KeySet) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

// KeyWithdrawn reports whether an issuer no longer has the key of a Verified.KeyID, from its answer to a request for its
// keys: a set, or an error. Another key with the same kid does not count. An *Error says that the key was revoked. Another
// error says nothing about the key, and KeyWithdrawn returns it.
func KeyWithdrawn(id string, keys *KeySet, err error) (bool, error) {
	switch {
	case ErrorReason(err) != "":
		return true, nil
	case err != nil:
		return false, err
	}
	return keys == nil || !keys.prints[id], nil
}
