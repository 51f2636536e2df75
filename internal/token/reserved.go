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
	// What the issuer itself says: RFC 7519 §4.1, RFC 9068 §2.2.
	"iss": true, "sub": true, "aud": true, "exp": true, "nbf": true, "iat": true, "jti": true,
	"client_id": true, "scope": true,
	// Other spellings of who the token is for and what it allows, which verifiers elsewhere read:
	// OpenID Connect, RFC 8693, RFC 9396, and the scp of some vendors.
	"azp": true, "act": true, "may_act": true, "authorization_details": true, "scp": true, "sub_id": true,
	// Who may use the token, and how: RFC 7800.
	"cnf": true,
	// Marks by which ID tokens, logout tokens, security events and selective disclosure are told
	// apart from an access token, and that speak of a person who logged in.
	"nonce": true, "at_hash": true, "c_hash": true, "s_hash": true, "sid": true, "events": true, "toe": true, "txn": true,
	"auth_time": true, "acr": true, "amr": true, "vct": true, "_sd": true, "_sd_alg": true,
	"_claim_names": true, "_claim_sources": true,
	// Members of an introspection answer, where they stand beside the claims: RFC 7662 §2.2. And
	// typ, by which some tell the kinds of their tokens apart.
	"active": true, "token_type": true, "username": true, "typ": true,
}

// Reserved reports whether name is a claim that only the issuer sets. Letters of either case are
// the same, in all of Unicode: some JSON decoders do not tell "Scope" from "scope".
func Reserved(name string) bool { return reservedClaims[foldCase(name)] }

// foldCase goes by way of upper case, which is what maps the long s to an S.
func foldCase(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// checkExtraName says what is wrong with the name of an extra claim.
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
