package token

import (
	"crypto/sha256"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Verifier verifies tokens against one Expect, and remembers those that passed: a client uses a
// token many times, and all but the first then cost a hash and not the check of a signature. It
// remembers a bounded number of tokens, the most recently used ones, and only genuine ones, so that
// strangers cannot fill it. It is safe for concurrent use.
type Verifier struct {
	expect Expect
	passed *lru.Cache[[sha256.Size]byte, passed]
}

// passed is a verified token: it holds for as long as its keys are those in force, and its times
// are checked anew whenever it is used.
type passed struct {
	kid    string
	keys   *KeySet
	claims *Claims
}

// NewVerifier makes a Verifier that remembers up to size tokens, at least one.
func NewVerifier(e Expect, size int) *Verifier {
	cache, _ := lru.New[[sha256.Size]byte, passed](max(size, 1)) // fails only for a size below one
	return &Verifier{expect: e, passed: cache}
}

// Verify is the function Verify with the keys that keysFor returns for the token's kid. An error of
// keysFor is returned as it is; all that is wrong with a token is an *Error. The claims are shared
// with other requests and must not be changed.
func (v *Verifier) Verify(raw string, keysFor func(kid string) (*KeySet, error)) (*Claims, error) {
	if len(raw) > MaxTokenSize {
		return nil, refuse(Malformed, "larger than a token may be")
	}
	id := sha256.Sum256([]byte(raw))
	if known, ok := v.passed.Get(id); ok {
		keys, err := keysFor(known.kid)
		if err != nil {
			return nil, err
		}
		if keys == known.keys {
			return known.claims, v.expect.check(known.claims)
		}
	}
	return v.verifyNew(id, raw, keysFor)
}

func (v *Verifier) verifyNew(id [sha256.Size]byte, raw string, keysFor func(string) (*KeySet, error)) (*Claims, error) {
	kid, err := KeyID(raw)
	if err != nil {
		return nil, err
	}
	keys, err := keysFor(kid)
	if err != nil {
		return nil, err
	}
	claims, err := Verify(raw, keys, v.expect)
	if err != nil {
		v.passed.Remove(id)
		return nil, err
	}
	v.passed.Add(id, passed{kid, keys, claims})
	return claims, nil
}
