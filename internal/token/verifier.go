package token

import (
	"crypto/sha256"
	"strings"
	"sync/atomic"
)

// Verifier verifies the tokens of one or several issuers. It runs every check for every token. What follows from the text of
// a token alone it takes from the memory of the issuer, if it is there, and then a token costs a hash instead of a signature
// check. It is safe for concurrent use.
type Verifier struct {
	trusted []trusted   // one for each issuer
	rules   headerRules // what any of them allows
	// header is that of the last token that was accepted and was not known before.
	header atomic.Pointer[readHeader]
}

// Trust is an issuer whose tokens a Verifier accepts.
type Trust struct {
	Expect
	// Memory remembers tokens of the issuer. All Verifiers of the issuer can share it. Default: none is remembered.
	Memory *Memory
}

// trusted is a Trust with what is derived from it.
type trusted struct {
	Trust
	reading reading
}

func (t Trust) prepare() trusted { return trusted{t, t.Expect.reading()} }

// Source says what saved the signature check of a verified token.
type Source string

// The sources of verified tokens.
const (
	Missed     Source = "missed"   // its signature was checked
	Remembered Source = "verified" // a Verifier has checked its signature before
	Minted     Source = "minted"   // this process has signed it, and no Verifier has accepted it before
)

// Verified is a token that Verify has accepted.
type Verified struct {
	// Claims are shared with other requests and must not be modified.
	*Claims
	Source Source

	id    tokenID
	by    *trusted
	keyID string // the thumbprint
	head  string // the text of the header
	facts facts
	// enough is set if the memory knows as much of the token as it should. fresh is set if Remember adds to it.
	enough, fresh bool
}

// tokenID is the hash of a token's text.
type tokenID [sha256.Size]byte

// KeyID returns the thumbprint (RFC 7638) of the key that signed the token. It is the kid of keys of this program.
func (t Verified) KeyID() string { return t.keyID }

// ChosenIssuer returns the issuer whose keys Verify asked for, also if it failed then; "" if it failed before that.
func (t Verified) ChosenIssuer() string {
	if t.by == nil {
		return ""
	}
	return t.by.Issuer
}

// NewVerifier returns a Verifier. Each Trust is of another issuer.
func NewVerifier(issuers ...Trust) *Verifier {
	v := new(Verifier)
	for _, t := range issuers {
		v.trusted = append(v.trusted, t.prepare())
		v.rules.ignored = append(v.rules.ignored, t.IgnoreParams...)
		v.rules.noKid = v.rules.noKid || t.NoKeyID
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
	t := Verified{id: hashOf(raw)}
	c, err := v.open(raw, &t)
	if err != nil {
		return Verified{}, err
	}
	if t.by, err = v.choose(&c); err != nil {
		return Verified{}, err
	}
	if err := t.verify(&c, keysFor); err != nil {
		if t.Source != Missed && ErrorReason(err) == Expired {
			t.by.Memory.forget(t.id)
		}
		return Verified{by: t.by}, err
	}
	return t, nil
}

// Remember saves the next Verify of the token the signature check, also at other Verifiers with the same memory. Call it only
// for a token that was accepted: one that is refused, for its scopes or because it is revoked, must not push out a useful
// one.
func (v *Verifier) Remember(t Verified) {
	if t.fresh && t.Claims != nil {
		t.by.Memory.remember(t.id, t.facts)
		v.keepHeader(&t)
	}
}

// keepHeader saves tokens with the same header the reading of it. A few tokens of other keys in between cost little.
func (v *Verifier) keepHeader(t *Verified) {
	if _, known := v.header.Load().of(t.head); !known && t.head != "" && len(t.head) <= maxKept {
		v.header.Store(&readHeader{strings.Clone(t.head), t.facts.header})
	}
}

// Forget undoes Remember.
func (v *Verifier) Forget(t Verified) {
	if t.Source != Missed && t.by != nil {
		t.by.Memory.forget(t.id)
	}
}

// open reads the form of a token, or takes what is known of it from a memory. Either way it checks the header.
func (v *Verifier) open(raw string, t *Verified) (compact, error) {
	for n := range v.trusted {
		if known, source, enough := v.trusted[n].Memory.find(t.id); known != nil {
			t.Source, t.enough = source, enough
			c := known.open(raw)
			return c, c.header.check(v.rules)
		}
	}
	t.Source = Missed
	return openCompact(raw, MaxTokenSize, v.rules, v.header.Load())
}

// verify checks a token by the rules of the issuer that was chosen.
func (t *Verified) verify(c *compact, keysFor KeysFor) error {
	if err := c.header.check(t.by.headerRules()); err != nil {
		return err
	}
	kid := string(c.header.Kid)
	keys, err := keysFor(t.by.Issuer, kid)
	if err != nil {
		return err
	}
	err = t.judge(c, keys)
	if t.by.NoKeyID && mayLackKey(keys, kid, err) {
		newer, failed := keysFor(t.by.Issuer, missingKey)
		if failed != nil {
			return failed
		}
		if newer != keys {
			err = t.judge(c, newer)
		}
	}
	return err
}

// judge verifies a token with keys, and notes what is found.
func (t *Verified) judge(c *compact, keys *KeySet) error {
	found, err := c.verify(keys, t.by)
	if err == nil {
		t.Claims, t.keyID = found.claims, found.keyID
		t.fresh = !t.enough || found.learned
		t.head = c.head
		t.facts = facts{c.header, c.checks, found.claims, t.by.reading}
	}
	return err
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
func (v *Verifier) choose(c *compact) (*trusted, error) {
	if len(v.trusted) == 1 {
		return &v.trusted[0], nil
	}
	issuer, err := c.issuer()
	if err != nil {
		return nil, err
	}
	for n := range v.trusted {
		if v.trusted[n].Issuer == issuer {
			return &v.trusted[n], nil
		}
	}
	return nil, refuse(WrongIssuer, "iss is none of the issuers here")
}
