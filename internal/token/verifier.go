package token

import (
	"crypto/sha256"
	"weak"
)

// Verifier verifies the tokens of one or several issuers. It remembers verified tokens, so that a signature is checked once
// and each further use of the token costs only a hash. Its memory is bounded in tokens and in bytes. It is safe for
// concurrent use.
type Verifier struct {
	expects []Expect    // one for each issuer
	rules   headerRules // what any of them allows
	memory  *memory
}

// Verified is a token that Verify has accepted.
type Verified struct {
	// Claims are shared with other requests and must not be modified.
	*Claims
	passed
	known bool
}

// KeyID returns the thumbprint (RFC 7638) of the key that signed the token. It is the kid of keys of this program.
func (t Verified) KeyID() string { return t.keyID }

// ChosenIssuer returns the issuer whose keys Verify asked for, also if it failed then; "" if it failed before that.
func (t Verified) ChosenIssuer() string {
	if t.expect == nil {
		return ""
	}
	return t.expect.Issuer
}

// passed records how a token was verified. It holds while its key set is in force. The times of the token are checked at
// each use.
type passed struct {
	id     tokenID
	expect *Expect
	keyID  string // the thumbprint
	// keys is weak, so that an idle token does not keep a replaced key set in memory.
	keys weak.Pointer[KeySet]
}

// tokenID is the hash of a token's text.
type tokenID [sha256.Size]byte

// NewVerifier returns a Verifier that remembers at least one and at most the given number of tokens, within the given number
// of bytes. Each Expect is for another issuer.
func NewVerifier(tokens, bytes int, expects ...Expect) *Verifier {
	v := &Verifier{expects: expects, memory: newMemory(max(tokens, 1), bytes)}
	for _, e := range expects {
		v.rules.ignored = append(v.rules.ignored, e.IgnoreParams...)
		v.rules.noKid = v.rules.noKid || e.NoKeyID
	}
	return v
}

// KeysFor returns the keys of an issuer. The token names the key kid. It names none if kid is "".
type KeysFor func(issuer, kid string) (*KeySet, error)

// missingKey is a kid that no key has. Asking for it has the keys of the issuer looked up again, as for any unknown kid.
const missingKey = "\x00"

// Verify calls the function Verify with the keys that keysFor returns. If there are several issuers, the token's iss chooses
// one. It does not call keysFor for an unknown issuer, which is a WrongIssuer error. Verify returns an error of keysFor
// unchanged. If the token is not valid, the error is an *Error.
//
// Verify does not remember the token. The caller calls Remember if it accepts the token.
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
	keys, err := keysFor(known.expect.Issuer, known.keyID)
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

// Remember saves the next Verify of the token the signature check. Call it only for a token that was accepted: one that is
// refused, for its scopes or because it is revoked, must not push out a useful one.
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
	c, err := openCompact(raw, MaxTokenSize, v.rules)
	if err != nil {
		return Verified{}, err
	}
	expect, err := v.choose(c)
	if err != nil {
		return Verified{}, err
	}
	refused := Verified{passed: passed{expect: expect}}
	if err := c.header.check(expect.headerRules()); err != nil {
		return refused, err
	}
	kid := string(c.header.Kid)
	keys, err := keysFor(expect.Issuer, kid)
	if err != nil {
		return refused, err
	}
	claims, keyID, err := verify(raw, keys, *expect)
	if expect.NoKeyID && mayLackKey(keys, kid, err) {
		newer, failed := keysFor(expect.Issuer, missingKey)
		if failed != nil {
			return refused, failed
		}
		if newer != keys {
			keys = newer
			claims, keyID, err = verify(raw, keys, *expect)
		}
	}
	if err != nil {
		return refused, err
	}
	return Verified{Claims: claims, passed: passed{id, expect, keyID, weak.Make(keys)}}, nil
}

// mayLackKey reports whether the key of a token may be missing from a set that has keys for its kid: they have other
// algorithms, or the token or they have no kid. A kid that no key fits was looked up before.
func mayLackKey(keys *KeySet, kid string, err error) bool {
	switch ErrorReason(err) {
	case WrongAlgorithm:
		return true
	case BadSignature:
		return !keys.Has(kid)
	case UnknownKey:
		return kid == ""
	}
	return false
}

// choose returns what is expected of the token, by its issuer. If there is only one issuer, Verify checks iss.
func (v *Verifier) choose(c compact) (*Expect, error) {
	if len(v.expects) == 1 {
		return &v.expects[0], nil
	}
	issuer, err := c.issuer()
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
