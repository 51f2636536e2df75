package oauth

import (
	"net/http"
	"strings"
)

// Bounds of a client's credentials, in bytes after decoding.
const (
	maxClientID     = 256
	maxClientSecret = 512
)

// credentials are well-formed, and not yet verified.
type credentials struct{ id, secret, method string }

// clientAuth finds the client's one authentication method (RFC 6749 §2.3).
func clientAuth(h http.Header, p params) (credentials, *Error) {
	authorization := h.Values("Authorization")
	assertion := p.get("client_assertion") != "" || p.get("client_assertion_type") != ""
	secret := p.get("client_secret") != ""
	if len(authorization) > 1 || atLeastTwo(len(authorization) == 1, secret, assertion) {
		return credentials{}, InvalidRequest("more than one client authentication method")
	}
	switch {
	case assertion: // an unsupported method is invalid_client, says RFC 6749 §5.2
		return credentials{}, invalidClient("client assertions are not supported")
	case len(authorization) == 1:
		return basicAuth(authorization[0], p.get("client_id"))
	}
	return postAuth(p)
}

func atLeastTwo(a, b, c bool) bool { return a && b || b && c || a && c }

// basicAuth is client_secret_basic. Some libraries also put client_id in the body: the same one
// does no harm, another one leaves open who the client is.
func basicAuth(authorization, bodyID string) (credentials, *Error) {
	c, fault := parseBasic(authorization)
	if fault != nil {
		return credentials{}, fault
	}
	if bodyID != "" && bodyID != c.id {
		return credentials{}, InvalidRequest("client_id differs from the one in the Authorization header")
	}
	return c, c.check()
}

// postAuth is client_secret_post.
func postAuth(p params) (credentials, *Error) {
	c := credentials{id: p.get("client_id"), secret: p.get("client_secret"), method: ClientSecretPost}
	if c.id == "" || c.secret == "" {
		return credentials{}, invalidClient("client authentication is missing")
	}
	return c, c.check()
}

// check refuses credentials that no client can have, with the answer that wrong ones get.
func (c credentials) check() *Error {
	if !isPrintable(c.id, maxClientID) || !isPrintable(c.secret, maxClientSecret) {
		return InvalidClient()
	}
	return nil
}

// isPrintable holds RFC 6749's client_id and client_secret, *VSCHAR (appendix A.1, A.2).
func isPrintable(s string, limit int) bool {
	return s != "" && len(s) <= limit && strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) < 0
}
