// Package assertion verifies assertions: JWTs by which a client or a workload says who it is (RFC 7521, RFC 7523). Open reads
// one, and Assertion.Verify, its entry point, yields the Identity. Who the keys belong to, which client the identity is and
// whether the assertion was used before is for the caller. The package imports internal/token alone of this module.
//
// Anyone can send an assertion. So Verify does the same work for a client that does not exist, which has no keys, as for one
// that has: one check of a signature, or maxKeys if the assertion does not say which key has signed it.
package assertion

import (
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

const (
	// MaxSize is the largest assertion, in bytes. Those of workloads carry dozens of claims.
	MaxSize = 16 << 10
	// MaxLifetime is how far exp may be ahead by default. It also bounds how long a jti is remembered.
	MaxLifetime = time.Hour
	// maxKeys is how many keys are tried for an assertion without a kid.
	maxKeys = 3
)

// The values of typ that RFC 7523bis gives to assertions.
const (
	ClientType = "client-authentication+jwt"
	GrantType  = "authorization-grant+jwt"
)

// Identity is what a verified assertion says.
type Identity struct {
	// Issuer and Subject are iss and sub.
	Issuer, Subject string
	// KeyID is the thumbprint (RFC 7638) of the key that has signed the assertion.
	KeyID string
	// ID is jti, or "" if the assertion has none.
	ID string
	// Claims are all claims as decoded JSON, as token.Claims.All has them. They are shared and must not be modified.
	Claims map[string]any
	// Expires is exp.
	Expires time.Time
}

// Expect is what is expected of an assertion.
type Expect struct {
	// Audiences are the names of the verifier. One of them must be aud, character by character.
	Audiences []string
	// AudienceList accepts an aud that is an array with one element, as many issuers write it. By default aud must be a string:
	// a client that puts several servers into aud gives each of them what it needs to pose as the client to the others
	// (CVE-2025-27370).
	AudienceList bool
	// Types are the accepted values of typ, where "" stands for a missing one. Default: none, "JWT" and ClientType.
	Types []string
	// MaxLifetime is how far exp may be ahead of the clock. Default: MaxLifetime.
	MaxLifetime time.Duration
	// NoID accepts an assertion without a jti. By default it must have one.
	NoID bool
	// NoIssuer accepts an assertion without iss. By default it must have one.
	NoIssuer bool
	// Bound accepts an assertion with cnf. The caller then asks for the proof.
	Bound bool
	// NoActor refuses an assertion with act (RFC 8693 §4.1): another party than the subject holds it, and must not pose as the subject.
	NoActor bool
	// Algs are the accepted algorithms, as token.Expect has them. Default: those of the keys.
	Algs []token.Alg
	// Leeway is how far the clocks may differ. Default: token.DefaultLeeway.
	Leeway time.Duration
	// Now is the time.
	Now time.Time
}

var clientTypes = []string{"", "JWT", ClientType}

// Assertion is an assertion whose form was checked. Nothing else of it is.
type Assertion struct {
	signed *token.Signed
}

// Open checks the form of an assertion. The error is a *token.Error.
func Open(raw string) (*Assertion, error) {
	signed, err := token.OpenSigned(raw, MaxSize)
	if err != nil {
		return nil, err
	}
	return &Assertion{signed}, nil
}

// Issuer and Subject return iss and sub. They say whose keys to take, and are not verified.
func (a *Assertion) Issuer() string  { return a.signed.Claims().Issuer }
func (a *Assertion) Subject() string { return a.signed.Claims().Subject }

// KeyID returns the kid, or "" if there is none.
func (a *Assertion) KeyID() string { return a.signed.KeyID() }

// Check compares the claims and the type with what is expected, without any key. The error is a *token.Error.
func (a *Assertion) Check(e Expect) error {
	c := a.signed.Claims()
	leeway := e.leeway()
	switch {
	case !a.signed.HasType(e.types()...):
		return refuse(token.WrongType, "typ is not that of an assertion")
	case !e.takesAudience(c.All["aud"]):
		return refuse(token.WrongAudience, "aud is not the URL of the issuer alone")
	case c.Issuer == "" && !e.NoIssuer:
		return refuse(token.BadClaims, "iss is missing")
	case c.ID == "" && !e.NoID:
		return refuse(token.BadClaims, "jti is missing")
	case c.All["cnf"] != nil && !e.Bound:
		return refuse(token.SenderConstrained, "cnf binds the assertion to a key")
	case c.All["act"] != nil && e.NoActor:
		return refuse(token.BadClaims, "act says that another party acts for the subject")
	case !e.Now.Before(c.Expires.Add(leeway)):
		return refuse(token.Expired, "exp has passed")
	case c.Expires.After(e.Now.Add(e.lifetime() + leeway)):
		return refuse(token.BadClaims, "exp lies too far ahead")
	case e.Now.Add(leeway).Before(c.NotBefore):
		return refuse(token.NotYetValid, "nbf lies in the future")
	case e.Now.Add(leeway).Before(c.IssuedAt):
		return refuse(token.NotYetValid, "iat lies in the future")
	}
	return nil
}

// Verify checks the claims and then the signature with the keys, which are nil if the one whom the assertion names does not exist
// or has none. The work does not tell whether there are keys. The error is a *token.Error.
func (a *Assertion) Verify(keys *token.KeySet, e Expect) (*Identity, error) {
	if err := a.Check(e); err != nil {
		return nil, err
	}
	most := 1
	if a.KeyID() == "" {
		most = maxKeys
	}
	keyID, checks, err := a.signed.Verify(keys, e.Algs, most)
	if err != nil {
		for range most - checks {
			_, _, _ = a.signed.Verify(standIns(), anyAlg(), most) // for the time alone
		}
		return nil, err
	}
	c := a.signed.Claims()
	return &Identity{Issuer: c.Issuer, Subject: c.Subject, KeyID: keyID, ID: c.ID, Claims: c.All, Expires: c.Expires}, nil
}

// UsableUntil returns the time from which Check refuses an assertion that it accepts now. Its jti must be remembered until then.
func (e Expect) UsableUntil(id *Identity) time.Time { return id.Expires.Add(e.leeway()) }

func (e Expect) types() []string {
	if len(e.Types) == 0 {
		return clientTypes
	}
	return e.Types
}

func (e Expect) lifetime() time.Duration {
	if e.MaxLifetime == 0 {
		return MaxLifetime
	}
	return e.MaxLifetime
}

func (e Expect) leeway() time.Duration {
	if e.Leeway == 0 {
		return token.DefaultLeeway
	}
	return e.Leeway
}

func (e Expect) takesAudience(aud any) bool {
	if list, ok := aud.([]any); ok && e.AudienceList && len(list) == 1 {
		aud = list[0]
	}
	name, ok := aud.(string)
	return ok && slices.Contains(e.Audiences, name)
}

func refuse(reason token.Reason, detail string) error {
	return &token.Error{Reason: reason, Detail: detail}
}
