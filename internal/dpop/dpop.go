// Package dpop checks DPoP proofs (RFC 9449): statements by which a client shows, with each request, that it has the private
// key to which an access token is bound. Read takes the proof out of a request, Checker.Open compares it with the request, and
// Proof.Use checks the signature and remembers the proof, so that it is used once. The package imports once, token and uri of
// this module.
package dpop

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/once"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// The headers of DPoP, and the scheme of Authorization (RFC 9449 §4.1, §8 and §7.1).
const (
	Header      = "Dpop" // as net/http spells it
	NonceHeader = "Dpop-Nonce"
	Scheme      = "DPoP"
)

const (
	// MaxAge is how long after its iat a proof is accepted, beside the leeway. A client makes a proof for each request, so this
	// is the time that a request takes, and RFC 9449 §11.1 advises seconds or minutes.
	MaxAge = time.Minute
	// Leeway is how far the clocks of client and server may differ. It is the same for all checkers: they share a memory, and
	// what one of them has forgotten must be too old for all.
	Leeway = 30 * time.Second
)

// Memory remembers the proofs that were used.
type Memory = once.Memory

// NewMemory returns a memory for a number of proofs.
func NewMemory(proofs int) *Memory { return once.New(proofs) }

// Checker checks the proofs of one server. It is safe for concurrent use.
type Checker struct {
	// Used remembers the proofs that were used. Doors and issuers of a process can share it.
	Used *Memory
	// Nonces are required in proofs unless they are nil. The age of a proof is then that of its nonce, so the clock of the client
	// makes no difference (RFC 9449 §11.1).
	Nonces *Nonces
	Now    func() time.Time // default: time.Now
}

// Request is what a proof must be for.
type Request struct {
	Method string
	// URLs are those by which the request may have reached the server. Query and fragment do not count.
	URLs []string
	// Token is the access token in the request, "" if there is none.
	Token string
}

// Proof is a proof that is for a request. It counts only after Use.
type Proof struct {
	// NextNonce is the nonce that the client should use from now on, "" if that is the one that it has used, or none.
	NextNonce string

	proof   *token.Proof
	checker *Checker
	until   time.Time // when no checker accepts it any more
}

// Read returns the only proof of a request, "" if there is none. It fails if there is more than one (RFC 9449 §4.3).
func Read(h http.Header) (proof string, err error) {
	switch values := h[Header]; {
	case len(values) > 1:
		return "", invalid("several_proofs", "more than one DPoP header")
	case len(values) == 1 && values[0] == "":
		return "", invalid("malformed", "the DPoP header is empty")
	case len(values) == 1:
		return values[0], nil
	}
	return "", nil
}

// Open reads a proof and compares it with the request (RFC 9449 §4.3). It does not check the signature, which costs most. The
// error is an *Error.
func (c *Checker) Open(raw string, r Request) (*Proof, error) {
	read, err := keys.Open(raw)
	if err != nil {
		return nil, refused(err)
	}
	switch {
	case read.Method != r.Method:
		return nil, invalid("wrong_method", "htm is not the method of the request")
	case !isOneOf(read.URL, r.URLs):
		return nil, invalid("wrong_url", "htu is not the URL of the request")
	case r.Token != "" && read.TokenHash != TokenHash(r.Token):
		return nil, invalid("wrong_token", "ath is not the hash of the access token")
	}
	p := &Proof{proof: read, checker: c}
	return p, c.checkTime(p)
}

// checkTime checks the nonce or, without nonces, iat.
func (c *Checker) checkTime(p *Proof) error {
	now := c.now()
	if c.Nonces != nil {
		made, ok := c.Nonces.made(p.proof.Nonce, now)
		if !ok {
			return c.needsNonce(p.proof.Nonce, now)
		}
		if p.until = made.Add(nonceLifetime); now.Sub(made) > nonceLifetime/2 {
			p.NextNonce = c.Nonces.next(now)
		}
		return nil
	}
	p.until = p.proof.IssuedAt.Add(MaxAge + Leeway)
	switch {
	case !now.Before(p.until):
		return invalid("expired", "the proof is too old: iat has passed by more than a minute; is the clock right?")
	case now.Add(Leeway).Before(p.proof.IssuedAt):
		return invalid("not_yet_valid", "iat lies in the future; is the clock right?")
	case p.proof.Nonce != "": // which another checker may know
		p.until = now.Add(nonceLifetime + Leeway)
	}
	return nil
}

func (c *Checker) needsNonce(given string, now time.Time) *Error {
	description := "the nonce of the proof is not known, or is too old; use that of DPoP-Nonce"
	if given == "" {
		description = "the proof needs the nonce of DPoP-Nonce"
	}
	return &Error{Code: CodeUseNonce, Reason: CodeUseNonce, Description: description, Nonce: c.Nonces.next(now)}
}

// KeyID returns the thumbprint of the key of the proof (RFC 7638), the cnf.jkt of tokens that are bound to it. Only after Use is
// it known that the client has the key.
func (p *Proof) KeyID() string { return p.proof.KeyID() }

// Use checks the signature, and that the proof was not used before. The owner, such as a client, is who pays for remembering
// it. The error is an *Error, or ErrFull.
func (p *Proof) Use(owner string) error {
	if err := p.proof.Verify(); err != nil {
		return refused(err)
	}
	// A jti is unique among the proofs of one key. Everyone can use the jti of another.
	id := p.proof.KeyID() + p.proof.ID
	switch p.checker.Used.Use(namespace, owner, id, p.until, p.checker.now()) {
	case once.Fresh:
		keys.Keep(p.proof, owner)
		return nil
	case once.Used:
		return invalid("replayed", "the proof was used before: each request needs its own")
	default:
		return ErrFull
	}
}

// keys remembers the keys of clients that have used a proof.
var keys = token.NewProofKeys()

// Owner returns the name of a client of an issuer for Use. A client has one share of the memory for all its keys.
func Owner(issuer, clientID string) string { return issuer + " " + clientID }

// namespace is that of proofs in a memory.
const namespace = "dpop"

func (c *Checker) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// TokenHash returns the ath of a proof that is sent with an access token.
func TokenHash(accessToken string) string {
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
