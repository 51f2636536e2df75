package registry

import (
	"crypto/sha256"
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

// Authenticate reports whether secret is one of the client's that works at now. A nil client
// stands for an unknown one. An unknown client, a disabled one, one without secrets, an expired
// and a wrong secret are all answered with false after the same work, so that time does not tell
// which it was.
//
// Only what CheckSecret takes can be right, so a secret that somebody made up never works,
// whatever hash the registry holds.
func (c *Client) Authenticate(secret string, now time.Time) bool {
	wellFormed := CheckSecret(secret) == nil
	digest := sha256.Sum256([]byte(secret))
	if c == nil {
		c = &unknownClient
	}
	matches := 0
	for i := range max(MaxSecrets, len(c.Secrets)) {
		s, works := c.secretAt(i, now)
		matches |= subtle.ConstantTimeCompare(digest[:], s.SHA256[:]) & works
	}
	return wellFormed && !c.Disabled && matches == 1
}

// secretAt is the client's i-th secret and 1 if it works at now, or beyond the last a stand-in
// that never works.
func (c *Client) secretAt(i int, now time.Time) (s *Secret, works int) {
	if i >= len(c.Secrets) {
		return &noSecret, 0
	}
	s = &c.Secrets[i]
	if s.Expires.IsZero() || now.Before(s.Expires) {
		return s, 1
	}
	return s, 0
}
