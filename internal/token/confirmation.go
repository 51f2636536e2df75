package token

import (
	"crypto/sha256"
	"errors"
)

// Confirmation is the cnf claim of a token (RFC 7800 §3.1): the thumbprints of the keys that its holder must prove to have. The
// zero Confirmation is that of a plain bearer token. A token with both needs both proofs.
type Confirmation struct {
	// JKT is jkt, the thumbprint of the public key of DPoP proofs (RFC 9449 §6.1, RFC 7638).
	JKT string
	// X5TS256 is x5t#S256, the thumbprint of the client's certificate (RFC 8705 §3.1).
	X5TS256 string
}

// errThumbprint is the error of a thumbprint that no key can have.
var errThumbprint = errors.New("cnf is not the SHA-256 thumbprint of a key or a certificate")

// check returns an error if a thumbprint is not that of a key.
func (c Confirmation) check() error {
	for _, thumbprint := range []string{c.JKT, c.X5TS256} {
		if thumbprint != "" && !isThumbprint(thumbprint) {
			return errThumbprint
		}
	}
	return nil
}

// isThumbprint reports whether a text is a SHA-256 hash in canonical base64url.
func isThumbprint(text string) bool {
	hash, err := decodeBase64(text)
	return err == nil && len(hash) == sha256.Size
}

// Confirmation returns the keys that the token is bound to. A verified token that is bound to anything else was refused.
func (c *Claims) Confirmation() Confirmation { return c.confirmation }

// TokenType returns how the token is presented: "DPoP" if it is bound to a key of DPoP (RFC 9449 §5), else "Bearer" (RFC 6750
// §4), also if it is bound to a certificate (RFC 8705 §3).
func (c Confirmation) TokenType() string {
	if c.JKT != "" {
		return "DPoP"
	}
	return "Bearer"
}

// confirmation reads cnf. It reports whether the token has one of any form: jkt, x5t#S256, jwk, jwe, jku, kid, or one that is
// not known here. If any of it cannot be proven here, the Confirmation is zero, because a proof of one part does not replace
// that of another.
func (r *claimReader) confirmation() (c Confirmation, bound bool) {
	value, bound := r.all["cnf"]
	members, isObject := value.(map[string]any)
	if !isObject {
		return c, bound
	}
	for name, value := range members {
		thumbprint, _ := value.(string)
		switch {
		case !isThumbprint(thumbprint):
			return Confirmation{}, true
		case name == "jkt":
			c.JKT = thumbprint
		case name == "x5t#S256":
			c.X5TS256 = thumbprint
		default:
			return Confirmation{}, true
		}
	}
	return c, true
}
