package oauth

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/uri"
)

// MaxBody is the maximum size of the body of a token request, in bytes.
const MaxBody = 64 << 10

// TokenRequest is a well-formed token request with the client's credentials, of which nothing is verified. When it is printed,
// logged or encoded, the secret and all assertions and tokens are left out.
type TokenRequest struct {
	// GrantType is GrantClientCredentials, GrantJWTBearer or GrantTokenExchange.
	GrantType string
	// Scope is the scope parameter verbatim, or "" if it was omitted or empty (RFC 6749 §3.2).
	Scope string
	// Resources are the resource parameters (RFC 8707 §2) or else the audience parameters, verbatim: at most MaxResources
	// absolute URIs without a fragment.
	Resources []string
	// Credentials are those of the client.
	Credentials Credentials
	// Assertion is the grant of GrantJWTBearer, else "" (RFC 7523 §2.1).
	Assertion string
	// Exchange has the parameters of GrantTokenExchange. It is zero for other grant types.
	Exchange Exchange
}

// Exchange has the parameters of a token exchange (RFC 8693 §2.1). SubjectToken and SubjectTokenType are not empty, and
// ActorToken is empty if and only if ActorTokenType is. No type is checked.
type Exchange struct {
	SubjectToken, SubjectTokenType string
	ActorToken, ActorTokenType     string
	RequestedTokenType             string
}

// Format prints that there are tokens, for every verb.
func (Exchange) Format(f fmt.State, _ rune) { fmt.Fprint(f, "token exchange") }

// MarshalJSON encodes nothing of the tokens.
func (Exchange) MarshalJSON() ([]byte, error) { return []byte(`{}`), nil }

// ParseTokenRequest reads a token request of at most MaxBody bytes. It uses w, which may be nil, only to close the connection
// after a body that is too large. The rules are, in this order:
//
//   - The method is POST (405), the query has no parameter of the body, and the body has no content coding.
//   - The content type is application/x-www-form-urlencoded or application/json, in UTF-8, or in ASCII if it names a charset
//     that extends ASCII.
//   - The body is at most MaxBody bytes (413) and well-formed. A parameter that is read is text without NUL, and only resource
//     and audience are repeated. A JSON body is one object; these two may be arrays of strings, the others are strings.
//   - grant_type is one of the Grant constants.
//   - There is at most one client authentication method (RFC 6749 §2.3), and it is well-formed. Without one, the caller looks for
//     a certificate or a token that names the client, and else refuses with MissingClientAuthentication.
//   - The parameters of the grant type are there.
//   - Every resource and audience is an absolute URI without a fragment. If there are both, they are the same.
//
// The grant type, which is not secret, is checked before the client's authentication, so that a client which tries another
// grant learns that it is not supported.
// Unknown parameters are ignored, also in the query, and a parameter without a value counts as omitted (§3.2). So does null.
// Those of other grant types are ignored, too.
func ParseTokenRequest(w http.ResponseWriter, r *http.Request) (*TokenRequest, *Error) {
	if err := checkRequest(r); err != nil {
		return nil, err
	}
	p, err := readParams(w, r)
	if err != nil {
		return nil, err
	}
	t := &TokenRequest{GrantType: p.get("grant_type"), Scope: p.get("scope")}
	if err := checkGrantType(t.GrantType); err != nil {
		return nil, err
	}
	if t.Credentials, err = clientAuth(r.Header, p); err != nil {
		return nil, err
	}
	if err := t.readGrant(p); err != nil {
		return nil, err
	}
	if t.Resources, err = p.resources(); err != nil {
		return nil, err
	}
	return t, nil
}

func checkGrantType(grant string) *Error {
	switch grant {
	case GrantClientCredentials, GrantJWTBearer, GrantTokenExchange:
		return nil
	case "":
		return InvalidRequest("grant_type is missing")
	}
	return UnsupportedGrantType()
}

// readGrant reads the parameters of the grant type.
func (t *TokenRequest) readGrant(p params) *Error {
	switch t.GrantType {
	case GrantJWTBearer:
		if t.Assertion = p.get("assertion"); t.Assertion == "" {
			return InvalidRequest("assertion is missing")
		}
	case GrantTokenExchange:
		t.Exchange = Exchange{
			SubjectToken: p.get("subject_token"), SubjectTokenType: p.get("subject_token_type"),
			ActorToken: p.get("actor_token"), ActorTokenType: p.get("actor_token_type"),
			RequestedTokenType: p.get("requested_token_type"),
		}
		return t.Exchange.check()
	}
	return nil
}

// check refuses parameters that are not there (RFC 8693 §2.1).
func (e Exchange) check() *Error {
	switch {
	case e.SubjectToken == "":
		return InvalidRequest("subject_token is missing")
	case e.SubjectTokenType == "":
		return InvalidRequest("subject_token_type is missing")
	case e.ActorToken != "" && e.ActorTokenType == "":
		return InvalidRequest("actor_token_type is missing")
	case e.ActorToken == "" && e.ActorTokenType != "":
		return InvalidRequest("actor_token_type stands without an actor_token")
	}
	return nil
}

// MaxResources is the maximum number of resource parameters in one request.
const MaxResources = 10

const maxResource = 1024 // bytes of one resource

// resources returns the URIs of the APIs that the token is for: the values of resource (RFC 8707 §2), without empty ones. Many
// clients name them in audience, which some servers read as a list, with spaces. A request with both must name the same ones.
func (p params) resources() ([]string, *Error) {
	resources, fault := targets("resource", p.all("resource"))
	if fault != nil {
		return nil, fault
	}
	audience, fault := targets("audience", strings.Fields(strings.Join(p.all("audience"), " ")))
	if fault != nil {
		return nil, fault
	}
	switch {
	case len(audience) == 0:
		return resources, nil
	case len(resources) == 0:
		return audience, nil
	case !uri.SameSet(resources, audience):
		return nil, InvalidTarget("resource and audience differ")
	}
	return resources, nil
}

// targets returns the values of a parameter without empty ones.
func targets(name string, values []string) (targets []string, _ *Error) {
	for _, value := range values {
		if value == "" {
			continue
		}
		if !isResource(value) {
			return nil, InvalidTarget(name + " must be an absolute URI without a fragment")
		}
		targets = append(targets, value)
	}
	if len(targets) > MaxResources {
		return nil, InvalidTarget("too many " + name + " parameters")
	}
	return targets, nil
}

func isResource(s string) bool {
	if !isPrintable(s, maxResource) || strings.ContainsAny(s, ` #"\<>`) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && u.IsAbs()
}
