package registry

import (
	"crypto/subtle"
	"time"
)

// MaxSecrets is the greatest number of secrets of a client.
const MaxSecrets = 20

// Stand-ins for a client and a secret that do not exist, so that there is something to compare with.
var (
	unknownClient = Client{Disabled: true}
	noSecret      Secret
)

// Live reports whether the secret has not expired at now.
func (s Secret) Live(now time.Time) bool { return s.Expires.IsZero() || now.Before(s.Expires) }

// isOpen reports whether the client may authenticate at now with a secret that works.
func (c *Client) isOpen(now time.Time) bool {
	return !c.Disabled && (c.Expires.IsZero() || now.Before(c.Expires))
}

// Authenticate returns the client and the ID of its secret, or a *Refusal if secret is not one that works at now. A nil client
// stands for an unknown one. Unknown, disabled and expired clients, and expired and wrong secrets, are all refused after the
// same work, so that the time of the answer does not tell them apart. If the client's object is damaged, the error for the
// right secret is the damage.
//
// A secret that CheckSecret refuses never works, whatever hash the registry holds, unless it is imported and CheckImport
// accepts it. Whether it has the client's id is looked at only if it is one of the client's, so that the time does not tell
// which clients exist.
func (c *Client) Authenticate(secret string, now time.Time) (_ *Client, secretID string, _ error) {
	own := CheckSecret(secret) == nil
	imported := !own && CheckImported(secret) == nil
	tried := attempt{wellFormed: own || imported, known: c != nil}
	digest := SumSecret(secret)
	if c == nil {
		c = &unknownClient
	}
	matching := 0
	for i := range max(MaxSecrets, len(c.Secrets)) {
		s, isOfKind, isLive := c.secretAt(i, imported, now)
		match := subtle.ConstantTimeCompare(digest[:], s.SHA256[:]) & isOfKind
		tried.matches |= match
		tried.works |= match & isLive
		matching = subtle.ConstantTimeSelect(match&isLive, i, matching)
	}
	tried.hasID = imported && tried.matches == 1 && containsID(secret, c.ID)
	if reason := c.refusal(tried, now); reason != "" {
		return nil, "", &Refusal{Reason: reason, ClientID: c.ID}
	}
	if c.Damage != nil {
		return nil, "", c.Damage
	}
	return c, c.Secrets[matching].ID, nil
}

// AuthenticateBy returns the client if the proof is its own, or else a *Refusal. A nil client stands for an unknown one. All
// refusals come after the same work. If the client's object is damaged, the error for a right proof is the damage.
func (c *Client) AuthenticateBy(proof Proof, now time.Time) (*Client, error) {
	if c == nil {
		_ = proof(&unknownClient)
		return nil, &Refusal{Reason: UnknownClient}
	}
	reason := proof(c)
	switch {
	case reason != "":
	case c.Disabled:
		reason = ClientDisabled
	case !c.isOpen(now):
		reason = ClientExpired
	case c.Damage != nil:
		return nil, c.Damage
	default:
		return c, nil
	}
	return nil, &Refusal{Reason: reason, ClientID: c.ID}
}

// attempt is what a client tried to authenticate with. The numbers are 0 or 1.
type attempt struct {
	known      bool // the client
	wellFormed bool // the secret
	matches    int  // the secret is one of the client's
	works      int  // and has not expired
	hasID      bool // and contains the client's id, although it is imported
}

// refusal returns why an attempt is refused, "" if it is not. The first reason counts. A caller with a wrong secret is not
// the client, whatever else is wrong with the client.
func (c *Client) refusal(tried attempt, now time.Time) string {
	switch {
	case !tried.wellFormed:
		return MalformedSecret
	case !tried.known:
		return UnknownClient
	case tried.matches != 1:
		return WrongSecret
	case tried.hasID:
		return MalformedSecret
	case c.Disabled:
		return ClientDisabled
	case !c.isOpen(now):
		return ClientExpired
	case tried.works != 1:
		return SecretExpired
	}
	return ""
}

// MayWork reports whether some client's secret may be s.
func MayWork(s string) bool { return CheckSecret(s) == nil || CheckImported(s) == nil }

// secretAt returns the client's i-th secret, 1 if it is imported or not as asked for, and 1 if it has not expired at now. Beyond
// the last it returns a stand-in, which never works.
func (c *Client) secretAt(i int, imported bool, now time.Time) (s *Secret, isOfKind, isLive int) {
	if i >= len(c.Secrets) {
		return &noSecret, 0, 0
	}
	s = &c.Secrets[i]
	if s.Imported == imported {
		isOfKind = 1
	}
	if s.Live(now) {
		isLive = 1
	}
	return s, isOfKind, isLive
}
