package registry

import (
	"crypto/subtle"
	"time"
)

// MaxSecrets is how many secrets a client may have.
const MaxSecrets = 20

// Stand-ins, so that there is something to compare with where there is nothing.
var (
	unknownClient = Client{Disabled: true}
	noSecret      Secret
)

// Live reports whether the secret has not expired at now.
func (s Secret) Live(now time.Time) bool { return s.Expires.IsZero() || now.Before(s.Expires) }

// isOpen reports whether the client may authenticate at now, given a secret that works.
func (c *Client) isOpen(now time.Time) bool {
	return !c.Disabled && (c.Expires.IsZero() || now.Before(c.Expires))
}

// Authenticate reports whether secret is one of the client's that works at now, and which. A nil
// client stands for an unknown one. An unknown client, a disabled or expired one, one without
// secrets, an expired and a wrong secret are all answered with "" and false after the same work, so
// that time does not tell which it was.
//
// Only what CheckSecret takes can be right, so a secret that somebody made up never works,
// whatever hash the registry holds.
func (c *Client) Authenticate(secret string, now time.Time) (secretID string, ok bool) {
	wellFormed := CheckSecret(secret) == nil
	digest := SumSecret(secret)
	if c == nil {
		c = &unknownClient
	}
	matches, matching := 0, 0
	for i := range max(MaxSecrets, len(c.Secrets)) {
		s, works := c.secretAt(i, now)
		match := subtle.ConstantTimeCompare(digest[:], s.SHA256[:]) & works
		matches |= match
		matching = subtle.ConstantTimeSelect(match, i, matching)
	}
	if !wellFormed || !c.isOpen(now) || matches != 1 {
		return "", false
	}
	return c.Secrets[matching].ID, true
}

// secretAt is the client's i-th secret and 1 if it works at now, or beyond the last a stand-in
// that never works.
func (c *Client) secretAt(i int, now time.Time) (s *Secret, works int) {
	if i >= len(c.Secrets) {
		return &noSecret, 0
	}
	s = &c.Secrets[i]
	if s.Live(now) {
		return s, 1
	}
	return s, 0
}
