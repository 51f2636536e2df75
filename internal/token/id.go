package token

import "crypto/rand"

// NewID is a fresh identifier of at least 128 random bits, for a jti (RFC 7519 §4.1.7) or a
// decision. It consists of upper-case letters and digits only, so that it can be a file name, a
// header value and a word on a command line.
func NewID() string { return rand.Text() }
