// Package claimname says which names the extra claims of an access token may have. Its entry point is [Check]. It imports
// nothing of this module.
package claimname

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxLength is the longest name of an extra claim, in bytes.
const maxLength = 128

// reserved are those that a policy may not add.
var reserved = map[string]bool{
	// Claims of the issuer: RFC 7519 §4.1, RFC 9068 §2.2.
	"iss": true, "sub": true, "aud": true, "exp": true, "nbf": true, "iat": true, "jti": true,
	"client_id": true, "scope": true,
	// Claims that other verifiers read for whom the token is and what it allows: OpenID Connect, RFC 8693, RFC 9396, and the
	// scp of some vendors.
	"azp": true, "act": true, "may_act": true, "authorization_details": true, "scp": true, "sub_id": true,
	// Who may use the token, and how: RFC 7800.
	"cnf": true,
	// Claims that mark ID tokens, logout tokens, security events and selective disclosure, or that describe the login of a
	// person.
	"nonce": true, "at_hash": true, "c_hash": true, "s_hash": true, "sid": true, "events": true, "toe": true, "txn": true,
	"auth_time": true, "acr": true, "amr": true, "vct": true, "_sd": true, "_sd_alg": true,
	"_claim_names": true, "_claim_sources": true,
	// Members of an introspection response, which has them next to the claims: RFC 7662 §2.2. And typ, with which some issuers
	// mark the kinds of their tokens.
	"active": true, "token_type": true, "username": true, "typ": true,
}

// isReserved reports whether name is a claim that only the issuer sets. It ignores case, in all of Unicode, because some JSON
// decoders read "Scope" as "scope".
func isReserved(name string) bool { return reserved[foldCase(name)] }

// foldCase converts to upper case first, which maps the long s to an S.
func foldCase(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// Check returns an error if the name of an extra claim is not valid.
func Check(name string) error {
	switch {
	case name == "":
		return errors.New("empty name of a claim")
	case len(name) > maxLength:
		return fmt.Errorf("the name of claim %.40q… is longer than %d bytes", name, maxLength)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isControl):
		return fmt.Errorf("the name of claim %q has control characters or is not UTF-8", name)
	case isReserved(name):
		return fmt.Errorf("claim %q is reserved", name)
	}
	return nil
}

func isControl(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }
