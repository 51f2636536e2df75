package token

import (
	"crypto/rand"
	"regexp"
)

// NewID is a fresh identifier of at least 128 random bits, for a jti (RFC 7519 §4.1.7) or a
// decision. It consists of upper-case letters and digits only, so that it can be a file name, a
// header value and a word on a command line.
func NewID() string { return rand.Text() }

var idForm = regexp.MustCompile(`^[A-Z2-7]{26,}$`)

// IsID reports whether a text could be of NewID.
func IsID(text string) bool { return idForm.MatchString(text) }
