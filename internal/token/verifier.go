package token

import (
	"crypto/sha256"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Verifier verifies the tokens of one or several issuers, and remembers those that passed: a client
// uses a token many times, and all but the first then cost a hash and not the check of a signature.
// It remembers a bounded number of tokens, the most recently used ones, and only genuine ones, so
// that strangers cannot fill it. It is safe for concurrent use.
type Verifier struct {
	expects []Expect // each of another issuer
	passed  *lru.Cache[[sha256.Size]byte, passed]
}

// passed is a verified token: it holds for as long as its keys are those in force, and its times
// are checked anew whenever it is used.
type passed struct {
	expect *Expect
	kid    string
	keys   *KeySet
	claims *Claims
}

// NewVerifier makes a Verifier that remembers up to size tokens, at least one. Each Expect is that of
// another issuer.
func NewVerifier(size int, expects ...Expect) *Verifier {
	cache, _ := lru.New[[sha256.Size]byte, passed](max(size, 1)) // fails only for a size below one
	return &Verifier{expects: expects, passed: cache}
}

// KeysFor returns the keys of an issuer, of which a token names one.
type KeysFor func(issuer, kid string) (*KeySet, error)

// Verify is the function Verify with the keys that keysFor returns. Where there are several issuers the
// token's iss chooses: WrongIssuer is one that is none of them, and its keys are not asked for. An
// error of keysFor is returned as it is; all that is wrong with a token is an *Error. The claims are
// shared with other requests and must not be changed.
func (v *Verifier) Verify(raw string, keysFor KeysFor) (*Claims, error) {
	if len(raw) > MaxTokenSize {
		return nil, refuse(Malformed, "larger than a token may be")
	}
	id := sha256.Sum256([]byte(raw))
	if known, ok := v.passed.Get(id); ok {
		keys, err := keysFor(known.expect.Issuer, known.kid)
		if err != nil {
			return nil, err
		}
		if keys == known.keys {
			return known.claims, known.expect.check(known.claims)
		}
	}
	return v.verifyNew(id, raw, keysFor)
}

func (v *Verifier) verifyNew(id [sha256.Size]byte, raw string, keysFor KeysFor) (*Claims, error) {
	kid, err := KeyID(raw)
	if err != nil {
		return nil, err
	}
	expect, err := v.choose(raw)
	if err != nil {
		return nil, err
	}
	keys, err := keysFor(expect.Issuer, kid)
	if err != nil {
		return nil, err
	}
	claims, err := Verify(raw, keys, *expect)
	if err != nil {
		v.passed.Remove(id)
		return nil, err
	}
	v.passed.Add(id, passed{expect, kid, keys, claims})
	return claims, nil
}

// choose finds what is expected of the token. A single issuer needs no choice: Verify looks at iss.
func (v *Verifier) choose(raw string) (*Expect, error) {
	if len(v.expects) == 1 {
		return &v.expects[0], nil
	}
	issuer, err := Issuer(raw)
	if err != nil {
		return nil, err
	}
	for n := range v.expects {
		if v.expects[n].Issuer == issuer {
			return &v.expects[n], nil
		}
	}
	return nil, refuse(WrongIssuer, "iss is none of the issuers here")
}
