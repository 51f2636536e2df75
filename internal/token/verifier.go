package token

import (
	"crypto/sha256"
	"weak"
)

// Verifier verifies the tokens of one or several issuers. It remembers those that it is told to, so
// that a client pays for the check of a signature once, and for a hash each further time that it
// uses the token. What it remembers is bounded, in tokens and in bytes. It is safe for concurrent use.
type Verifier struct {
	expects []Expect // each of another issuer
	memory  *memory
}

// Verified is a token that Verify has accepted.
type Verified struct {
	// Claims are shared with other requests and must not be changed.
	*Claims
	passed
	known bool
}

// KeyID is the kid of the key that has signed the token.
func (t Verified) KeyID() string { return t.kid }

// ChosenIssuer returns the issuer whose keys Verify asked for, also if it failed then; "" if it failed before that.
func (t Verified) ChosenIssuer() string {
	if t.expect == nil {
		return ""
	}
	return t.expect.Issuer
}

// passed is how a token was verified. That holds for as long as its keys are those in force; its times
// are checked again whenever it is used.
type passed struct {
	id     tokenID
	expect *Expect
	kid    string
	// keys is weak: an idle token must not keep a replaced key set in memory.
	keys weak.Pointer[KeySet]
}

// tokenID stands for a token's text.
type tokenID [sha256.Size]byte

// NewVerifier makes a Verifier that remembers up to that many tokens, at least one, which take up to
// that many bytes of memory. Each Expect is that of another issuer.
func NewVerifier(tokens, bytes int, expects ...Expect) *Verifier {
	return &Verifier{expects: expects, memory: newMemory(max(tokens, 1), bytes)}
}

// KeysFor returns the keys of an issuer, of which a token names one.
type KeysFor func(issuer, kid string) (*KeySet, error)

// Verify is the function Verify with the keys that keysFor returns. Where there are several issuers the
// token's iss chooses: WrongIssuer is one that is none of them, and its keys are not asked for. An
// error of keysFor is returned as it is; all that is wrong with a token is an *Error.
//
// Verify does not remember the token. The caller knows whether it lets the token in, and calls
// Remember then.
func (v *Verifier) Verify(raw string, keysFor KeysFor) (Verified, error) {
	if len(raw) > MaxTokenSize {
		return Verified{}, refuse(Malformed, "larger than a token may be")
	}
	id := tokenID(sha256.Sum256([]byte(raw)))
	known := v.memory.get(id)
	if known == nil {
		return v.verifyNew(id, raw, keysFor)
	}
	refused := Verified{passed: passed{expect: known.expect}}
	keys, err := keysFor(known.expect.Issuer, known.kid)
	if err != nil {
		return refused, err
	}
	if keys == nil || keys != known.keys.Value() {
		v.memory.forget(id)
		return v.verifyNew(id, raw, keysFor)
	}
	if err := known.expect.check(known.claims); err != nil {
		v.memory.forget(id)
		return refused, err
	}
	return Verified{known.claims, known.passed, true}, nil
}

// Remember spares the next Verify of the token the check of its signature. It is for tokens that were
// let in: a token that is refused, for what it lacks or because it was revoked, costs its sender no
// less the next time, and must not take the place of one that is of use.
func (v *Verifier) Remember(t Verified) {
	if !t.known && t.Claims != nil {
		v.memory.add(&remembered{passed: t.passed, claims: t.Claims})
	}
}

// Forget undoes Remember.
func (v *Verifier) Forget(t Verified) {
	if t.known {
		v.memory.forget(t.id)
	}
}

func (v *Verifier) verifyNew(id tokenID, raw string, keysFor KeysFor) (Verified, error) {
	kid, err := KeyID(raw)
	if err != nil {
		return Verified{}, err
	}
	expect, err := v.choose(raw)
	if err != nil {
		return Verified{}, err
	}
	refused := Verified{passed: passed{expect: expect}}
	keys, err := keysFor(expect.Issuer, kid)
	if err != nil {
		return refused, err
	}
	claims, err := Verify(raw, keys, *expect)
	if err != nil {
		return refused, err
	}
	return Verified{Claims: claims, passed: passed{id, expect, kid, weak.Make(keys)}}, nil
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
