package token

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxClaimName is the longest name of an extra claim, in bytes.
const maxClaimName = 128

// reservedClaims are those that a policy may not add.
var reservedClaims = map[string]bool{
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

// Reserved reports whether name is a claim that only the issuer sets. It ignores case, in all of Unicode, because some JSON
// decoders read "Scope" as "scope".
func Reserved(name string) bool { return reservedClaims[foldCase(name)] }

// foldCase converts to upper case first, which maps the long s to an S.
func foldCase(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// checkExtraName returns an error if the name of an extra claim is not valid.
func checkExtraName(name string) error {
	switch {
	case name == "":
		return errors.New("empty name of a claim")
	case len(name) > maxClaimName:
		return fmt.Errorf("the name of claim %.40q… is longer than %d bytes", name, maxClaimName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isControl):
		return fmt.Errorf("the name of claim %q has control characters or is not UTF-8", name)
	case Reserved(name):
		return fmt.Errorf("claim %q is reserved", name)
	}
	return nil
}
