package token

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/uri"
)

// How far the clocks of the issuer and of those that check its tokens may be apart, by default and at most.
const (
	DefaultLeeway = 30 * time.Second
	MaxLeeway     = 5 * time.Minute
)

// Expect is what a verifier expects of a token. The zero Expect accepts no token.
type Expect struct {
	// Issuer must be the token's iss, character by character.
	Issuer string
	// Audiences are the names of the verifier. One of them must be in aud, as uri.NamesOneOf compares them.
	Audiences []string
	// AnyAudience accepts tokens for any audience. It is for the issuer's introspection and revocation of its own tokens.
	AnyAudience bool
	// Leeway is how far the clocks of issuer and verifier may differ. A negative leeway means none.
	Leeway time.Duration
	// Now is the verifier's clock. Default: time.Now.
	Now func() time.Time
	// Types are the accepted values of typ. They are compared without regard to case and to a leading "application/" (RFC
	// 7515 §4.1.9). The default is "at+jwt" alone, so that an ID token is not accepted as an access token (RFC 9068 §4).
	Types []string
	// AllowMissing names what a token may lack although RFC 9068 §2 requires it: any of the claims "sub", "client_id", "jti",
	// "iat" and "aud", and "typ" of the header. Here "client_id" stands for ClientClaim. It is for tokens of other issuers. A
	// token without a jti cannot be revoked. Only with Clients may aud be missing, and an aud that is there must hold one of
	// Audiences. The claims iss and exp are never optional.
	AllowMissing []string
	// ScopeClaim is the claim that holds the scopes, as a space-separated list or as an array of strings, by a name as of
	// Claims.Get. The default is "scope", which must be a space-separated list (RFC 9068 §2.2.3).
	ScopeClaim string
	// ClientClaim is the claim that holds the client, by a name as of Claims.Get. The default is "client_id".
	ClientClaim string
	// Clients are the only clients whose tokens are accepted. By default those of all clients are.
	Clients []string
	// Bound accepts tokens that are bound to a key of DPoP or to a certificate. Set it only where the caller then checks the
	// proofs that Claims.Confirmation asks for, or where the token gives access to nothing. By default every token with cnf is refused.
	Bound bool
	// Algs are the accepted algorithms, from ParseAcceptedAlgs. An RSA key that does not name its algorithm verifies any of them. By default the keys
	// say which algorithms are accepted, and such a key verifies RS256 only.
	Algs []Alg
	// NoKeyID accepts a token without a kid. Up to maxCandidates keys of its algorithm are tried then.
	NoKeyID bool
	// IgnoreParams are header parameters that are ignored although they say where the key could be found: any of "jku", "x5u"
	// and "x5c". Nothing reads them. By default a token with one of them is refused.
	IgnoreParams []string
}

// ErrNeedsClients is the error of an Expect that names no client and allows aud to be missing.
var ErrNeedsClients = errors.New(`"aud" can be missing only beside a list of the clients whose tokens are accepted`)

// optional lists what AllowMissing may name.
var optional = []string{"sub", "client_id", "jti", "iat", "aud", "typ"}

// Check returns an error if a value of Types or Clients is not valid, or if AllowMissing or IgnoreParams has a name that it
// cannot have.
func (e Expect) Check() error {
	for _, typ := range e.Types {
		if !isName(typ) || len(typ) > maxTypeSize {
			return fmt.Errorf("typ %q is empty, longer than %d bytes or has control characters", typ, maxTypeSize)
		}
	}
	for _, name := range e.AllowMissing {
		if !slices.Contains(optional, name) {
			return fmt.Errorf("%q cannot be missing; only %s can", name, strings.Join(optional, ", "))
		}
	}
	if slices.Contains(e.AllowMissing, "aud") && len(e.Clients) == 0 {
		return ErrNeedsClients
	}
	for _, client := range e.Clients {
		if !isName(client) {
			return fmt.Errorf("client %q is empty, longer than %d bytes or has control characters", client, maxTextSize)
		}
	}
	for _, name := range e.IgnoreParams {
		if !slices.Contains(ignorable, name) {
			return fmt.Errorf("%q cannot be ignored in a header; only %s can", name, strings.Join(ignorable, ", "))
		}
	}
	return nil
}

func (e *Expect) headerRules() headerRules {
	return headerRules{ignored: e.IgnoreParams, noKid: e.NoKeyID}
}

// optional returns the names of claims that may be missing.
func (e *Expect) optional() []string {
	if e.ClientClaim != "" && slices.Contains(e.AllowMissing, "client_id") {
		return append(slices.Clone(e.AllowMissing), e.ClientClaim)
	}
	return e.AllowMissing
}

var accessTokenTypes = []string{AccessTokenType}

func (e *Expect) takesType(typ string) bool {
	if typ == "" {
		return slices.Contains(e.AllowMissing, "typ")
	}
	types := e.Types
	if len(types) == 0 {
		types = accessTokenTypes
	}
	return slices.ContainsFunc(types, func(taken string) bool { return sameType(typ, taken) })
}

func (e *Expect) now() time.Time {
	if e.Now == nil {
		return time.Now()
	}
	return e.Now()
}

// Verify checks a token: its form, its signature with the key in keys that it names, and its claims. If the token is not
// valid, the error is an *Error.
func Verify(raw string, keys *KeySet, e Expect) (*Claims, error) {
	c, err := openCompact(raw, MaxTokenSize, e.headerRules(), nil)
	if err != nil {
		return nil, err
	}
	t := Trust{Expect: e}.prepare()
	found, err := c.verify(keys, &t)
	if err != nil {
		return nil, err
	}
	return found.claims, nil
}

// found is what verify finds.
type found struct {
	claims  *Claims
	keyID   string // the thumbprint of the key
	learned bool   // whether a signature was checked
}

// verify checks a token whose header conforms to the rules of the issuer.
func (c *compact) verify(keys *KeySet, t *trusted) (f found, err error) {
	if !t.takesType(string(c.header.Typ)) {
		return f, refuse(WrongType, "typ is not that of an access token")
	}
	if f.keyID, f.learned, err = c.signedBy(keys, t.Algs); err != nil {
		return f, err
	}
	if f.claims, err = c.readAs(t); err != nil {
		return f, err
	}
	return f, t.check(f.claims)
}

// readAs reads the claims of a token, which may have been read before.
func (c *compact) readAs(t *trusted) (*Claims, error) {
	if c.read != nil && c.reading == t.reading {
		return c.read, nil
	}
	all, err := c.parsed()
	if err != nil {
		return nil, err
	}
	return readClaims(all, &t.Expect)
}

// readClaims checks the form of claims and that those are there which RFC 9068 §2.2 requires.
func readClaims(all payload, e *Expect) (*Claims, error) {
	r := claimReader{all: all}
	c := &Claims{
		All:       all,
		Issuer:    r.text("iss"),
		Audience:  r.audience(e.takesNoAudience()),
		Expires:   r.requiredDate("exp"),
		NotBefore: r.date("nbf"),
	}
	r.optional = e.AllowMissing
	c.IssuedAt = r.requiredDate("iat")
	c.Subject, c.ID = r.text("sub"), r.text("jti")
	r.optional = e.optional()
	c.ClientID = r.text(cmp.Or(e.ClientClaim, "client_id"))
	c.Scope, c.Scopes = r.scopes(e.ScopeClaim)
	c.confirmation, c.bound = r.confirmation()
	return c, r.err
}

// TakesAudience reports whether a token with this aud is for the verifier. A missing aud is nil. It says nothing about for
// whom the token is, so only a list of clients can stand in for it.
func (e *Expect) TakesAudience(aud []string) bool {
	switch {
	case e.AnyAudience:
		return true
	case aud == nil:
		return e.takesNoAudience()
	}
	return uri.NamesOneOf(aud, e.Audiences)
}

func (e *Expect) takesNoAudience() bool {
	return len(e.Clients) > 0 && slices.Contains(e.AllowMissing, "aud")
}

// check compares claims with what is expected.
func (e *Expect) check(c *Claims) error {
	now, leeway := e.now(), max(e.Leeway, 0)
	switch {
	case c.Issuer != e.Issuer:
		return refuse(WrongIssuer, "iss is another issuer")
	case !e.TakesAudience(c.Audience):
		return NotFor(e.Audiences)
	case len(e.Clients) > 0 && !slices.Contains(e.Clients, c.ClientID):
		return refuse(WrongClient, "the client is none of those that are accepted here")
	case c.bound && !e.Bound:
		return refuse(SenderConstrained, "cnf binds the token to a key of its client, and only bearer tokens are accepted")
	case c.bound && c.confirmation == Confirmation{}:
		return refuse(SenderConstrained, "cnf binds the token to a key whose proof is not known here")
	case !now.Before(c.Expires.Add(leeway)):
		return refuse(Expired, "exp has passed")
	case now.Add(leeway).Before(c.NotBefore):
		return refuse(NotYetValid, "nbf lies in the future")
	case now.Add(leeway).Before(c.IssuedAt):
		return refuse(NotYetValid, "iat lies in the future")
	}
	return nil
}
