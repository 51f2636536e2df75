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

// Authenticate returns the client and the ID of its secret, or ErrRefused if secret is not one that works at now. A nil
// client stands for an unknown one. Unknown, disabled and expired clients, and expired and wrong secrets, are all refused
// after the same work, so that the time of the answer does not tell them apart. If the client's object is damaged, the
// error for the right secret is the damage.
//
// A secret that CheckSecret refuses never works, whatever hash the registry holds, unless it is imported and CheckImported
// accepts it.
func (c *Client) Authenticate(secret string, now time.Time) (_ *Client, secretID string, _ error) {
	own := CheckSecret(secret) == nil
	imported := !own && CheckImported(secret) == nil
	digest := SumSecret(secret)
	if c == nil {
		c = &unknownClient
	}
	matches, matching := 0, 0
	for i := range max(MaxSecrets, len(c.Secrets)) {
		s, works := c.secretAt(i, imported, now)
		match := subtle.ConstantTimeCompare(digest[:], s.SHA256[:]) & works
		matches |= match
		matching = subtle.ConstantTimeSelect(match, i, matching)
	}
	if !own && !imported || !c.isOpen(now) || matches != 1 {
		return nil, "", ErrRefused
	}
	if c.Damage != nil {
		return nil, "", c.Damage
	}
	return c, c.Secrets[matching].ID, nil
}

// MayWork reports whether some client's secret may be s.
func MayWork(s string) bool { return CheckSecret(s) == nil || CheckImported(s) == nil }

// secretAt returns the client's i-th secret, and 1 if it is of this kind and works at now. Beyond the last it returns a
// stand-in that never works.
func (c *Client) secretAt(i int, imported bool, now time.Time) (s *Secret, works int) {
	if i >= len(c.Secrets) {
		return &noSecret, 0
	}
	s = &c.Secrets[i]
	if s.Live(now) && s.Imported == imported {
		return s, 1
	}
	return s, 0
}
