package oauth

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/uri"
)

// MaxBody is the maximum size of the body of a token request, in bytes.
const MaxBody = 64 << 10

// TokenRequest is a well-formed token request (RFC 6749 §4.4.2) with the client's credentials, which are not verified. When it
// is printed, logged or encoded, the secret is left out.
type TokenRequest struct {
	// GrantType is always GrantClientCredentials.
	GrantType string
	// Scope is the scope parameter verbatim, or "" if it was omitted or empty (RFC 6749 §3.2).
	Scope string
	// Resources are the resource parameters (RFC 8707 §2) or else the audience parameters, verbatim: at most MaxResources
	// absolute URIs without a fragment.
	Resources []string
	// ClientID and ClientSecret are decoded. Neither is empty.
	ClientID, ClientSecret string
	// AuthMethod is ClientSecretBasic or ClientSecretPost.
	AuthMethod string
}

// ParseTokenRequest reads a token request of at most MaxBody bytes. It uses w, which may be nil, only to close the connection
// after a body that is too large. The rules are, in this order:
//
//   - The method is POST (405), the query has no parameter of the body, and the body has no content coding.
//   - The content type is application/x-www-form-urlencoded or application/json, in UTF-8, or in ASCII if it names a charset
//     that extends ASCII.
//   - The body is at most MaxBody bytes (413) and well-formed. A parameter that is read is text without NUL, and only resource
//     and audience are repeated. A JSON body is one object; these two may be arrays of strings, the others are strings.
//   - grant_type is client_credentials.
//   - There is exactly one client authentication method (RFC 6749 §2.3), client_secret_basic or
//     client_secret_post, and it is well-formed.
//   - Every resource and audience is an absolute URI without a fragment. If there are both, they are the same.
//
// The grant type, which is not secret, is checked before the client's authentication, so that a client which tries another
// grant learns that it is not supported.
// Unknown parameters are ignored, also in the query, and a parameter without a value counts as omitted (§3.2). So does null.
func ParseTokenRequest(w http.ResponseWriter, r *http.Request) (*TokenRequest, *Error) {
	if err := checkRequest(r); err != nil {
		return nil, err
	}
	p, err := readParams(w, r)
	if err != nil {
		return nil, err
	}
	if err := checkGrantType(p); err != nil {
		return nil, err
	}
	client, err := clientAuth(r.Header, p)
	if err != nil {
		return nil, err
	}
	resources, err := p.resources()
	if err != nil {
		return nil, err
	}
	return &TokenRequest{
		GrantType:    GrantClientCredentials,
		Scope:        p.get("scope"),
		Resources:    resources,
		ClientID:     client.id,
		ClientSecret: client.secret,
		AuthMethod:   client.method,
	}, nil
}

func checkGrantType(p params) *Error {
	switch p.get("grant_type") {
	case GrantClientCredentials:
		return nil
	case "":
		return InvalidRequest("grant_type is missing")
	}
	return UnsupportedGrantType()
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
