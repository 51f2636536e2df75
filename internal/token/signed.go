package token

import (
	"maps"
	"slices"
)

// Signed is a JWT that is not an access token of this program, such as an assertion (RFC 7521 §4.2). OpenSigned has checked its
// form and its header. Its claims are not verified before Verify succeeds.
type Signed struct {
	compact compact
	claims  *Claims
}

// OpenSigned checks the form of a JWT of at most limit bytes, and reads its claims: sub, aud and exp must be there, and all
// claims that RFC 7519 §4.1 defines have a value that they can have. The kid may be missing. It checks no signature and compares
// nothing. The error is an *Error.
func OpenSigned(raw string, limit int) (*Signed, error) {
	c, err := openCompact(raw, limit, headerRules{noKid: true}, nil)
	if err != nil {
		return nil, err
	}
	all, err := c.parsed()
	if err != nil {
		return nil, err
	}
	r := claimReader{all: all, optional: []string{"iss", "jti"}}
	claims := &Claims{
		All: all, Issuer: r.text("iss"), Subject: r.text("sub"), Audience: r.audience(false),
		Expires: r.requiredDate("exp"), NotBefore: r.date("nbf"), IssuedAt: r.date("iat"),
	}
	claims.ID = r.text("jti")
	return &Signed{compact: c, claims: claims}, r.err
}

// Type returns typ, or "" if the header does not have it. HasType compares it.
func (s *Signed) Type() string { return string(s.compact.header.Typ) }

// HasType reports whether typ is one of types, compared as RFC 7515 §4.1.9 says. The type "" stands for a missing typ.
func (s *Signed) HasType(types ...string) bool {
	typ := s.Type()
	return slices.ContainsFunc(types, func(taken string) bool { return typ == taken || sameType(typ, taken) })
}

// KeyID returns the kid, or "" if the header does not have it.
func (s *Signed) KeyID() string { return string(s.compact.header.Kid) }

// Claims returns the claims, which the caller must not modify. Scope, Scopes and ClientID are not read.
func (s *Signed) Claims() *Claims { return s.claims }

// Verify checks the signature with the keys that the kid names, or with all keys of the algorithm if there is no kid. It makes at
// most a number of checks, and refuses the JWT if more keys fit. The keys say which algorithm they are for; algs replaces that
// as Expect.Algs does. It returns the thumbprint of the key, and how many checks it made. The error is an *Error.
func (s *Signed) Verify(keys *KeySet, algs []Alg, most int) (keyID string, checks int, err error) {
	var room [maxCandidates]*publicKey
	candidates, err := keys.candidates(s.KeyID(), s.compact.header.alg(), algs, room[:0])
	switch {
	case err != nil:
		return "", 0, err
	case len(candidates) > most:
		return "", 0, refuse(UnknownKey, "more keys than are tried may have signed it")
	}
	for _, key := range candidates {
		result, failed := s.compact.check(key)
		if failed != nil {
			return "", checks, failed
		}
		checks++
		if err = result; err == nil {
			return key.print, checks, nil
		}
	}
	return "", checks, err
}

// AcceptedAlgs returns the names of the algorithms whose signatures can be accepted, sorted: all are asymmetric.
func AcceptedAlgs() []string {
	names := []string{"Ed25519"} // RFC 9864 §2.2
	for alg := range maps.Keys(algorithms) {
		names = append(names, string(alg))
	}
	slices.Sort(names)
	return names
}
