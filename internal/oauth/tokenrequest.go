package oauth

import (
	"net/http"
	"net/url"
	"strings"
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
	// Resources are the resource parameters verbatim (RFC 8707 §2): at most MaxResources absolute URIs without a fragment.
	Resources []string
	// ClientID and ClientSecret are decoded. Neither is empty.
	ClientID, ClientSecret string
	// AuthMethod is ClientSecretBasic or ClientSecretPost.
	AuthMethod string
}

// ParseTokenRequest reads a token request of at most MaxBody bytes. It uses w, which may be nil, only to close the connection
// after a body that is too large. The rules are, in this order:
//
//   - The method is POST (405), there is no query string, and the body has no content coding.
//   - The content type is application/x-www-form-urlencoded or application/json, in UTF-8.
//   - The body is at most MaxBody bytes (413) and well-formed, without NUL, and no parameter but
//     resource is repeated. A JSON body is one object of strings; resource may be an array.
//   - grant_type is client_credentials.
//   - There is exactly one client authentication method (RFC 6749 §2.3), client_secret_basic or
//     client_secret_post, and it is well-formed.
//   - Every resource is an absolute URI without a fragment.
//
// The grant type, which is not secret, is checked before the client's authentication, so that a client which tries another
// grant learns that it is not supported.
// Unknown parameters are ignored, and a parameter without a value counts as omitted (§3.2).
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

// resources returns the values of the resource parameter (RFC 8707 §2), without empty ones.
func (p params) resources() ([]string, *Error) {
	var resources []string
	for _, resource := range p["resource"] {
		if resource == "" {
			continue
		}
		if !isResource(resource) {
			return nil, InvalidTarget("resource must be an absolute URI without a fragment")
		}
		resources = append(resources, resource)
	}
	if len(resources) > MaxResources {
		return nil, InvalidTarget("too many resource parameters")
	}
	return resources, nil
}

func isResource(s string) bool {
	if !isPrintable(s, maxResource) || strings.ContainsAny(s, ` #"\<>`) {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && u.IsAbs()
}
