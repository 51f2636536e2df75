package token

import (
	"crypto/rand"
	"regexp"
)

// NewID returns a new identifier of at least 128 random bits, for a jti (RFC 7519 §4.1.7) or a decision. It consists of
// upper-case letters and digits, so that it can be a file name, a header value and an argument on a command line.
func NewID() string { return rand.Text() }

var idForm = regexp.MustCompile(`^[A-Z2-7]{26,}$`)

// IsID reports whether a text has the form of NewID.
func IsID(text string) bool { return idForm.MatchString(text) }
