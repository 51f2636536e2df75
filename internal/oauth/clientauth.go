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

// credentials are well-formed but not verified.
type credentials struct{ id, secret, method string }

// clientAuth reads the credentials of the only authentication method that the client uses (RFC 6749 §2.3).
func clientAuth(h http.Header, p params) (credentials, *Error) {
	authorization, headers := authorizationOf(h)
	assertion := p.get("client_assertion") != "" || p.get("client_assertion_type") != ""
	secret := p.get("client_secret") != ""
	if headers > 1 || atLeastTwo(headers == 1, secret, assertion) {
		return credentials{}, InvalidRequest("more than one client authentication method")
	}
	switch {
	case assertion: // an unsupported method is invalid_client, says RFC 6749 §5.2
		return credentials{}, invalidClient("client assertions are not supported")
	case headers == 1:
		return basicAuth(authorization, p.get("client_id"))
	}
	return postAuth(p)
}

// authorizationOf returns the last Authorization header that is not empty, and how many of them there are.
func authorizationOf(h http.Header) (last string, count int) {
	for _, value := range h.Values("Authorization") {
		if !isEmptyAuthorization(value) {
			last = value
			count++
		}
	}
	return last, count
}

// isEmptyAuthorization finds a header of a client that has no credentials for it, as when a variable is empty.
func isEmptyAuthorization(value string) bool {
	value = strings.TrimSpace(value)
	return value == "" || strings.EqualFold(value, "Basic") || strings.EqualFold(value, "Bearer")
}

func atLeastTwo(a, b, c bool) bool { return a && b || b && c || a && c }

// basicAuth reads client_secret_basic. Some libraries also send client_id in the body. It must be the same one.
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

// postAuth reads client_secret_post.
func postAuth(p params) (credentials, *Error) {
	c := credentials{id: p.get("client_id"), secret: p.get("client_secret"), method: ClientSecretPost}
	if c.id == "" || c.secret == "" {
		return credentials{}, invalidClient("client authentication is missing")
	}
	return c, c.check()
}

// check refuses credentials that no client can have, with the response to wrong credentials. It leaves it to the registry
// whether the secret is well-formed, so that the log names the client whose secret has, for example, a line break at its end.
func (c credentials) check() *Error {
	if !isPrintable(c.id, maxClientID) || len(c.secret) > maxClientSecret {
		return InvalidClient()
	}
	return nil
}

// isPrintable checks RFC 6749's client_id, *VSCHAR (appendix A.1).
func isPrintable(s string, limit int) bool {
	return s != "" && len(s) <= limit && strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) < 0
}
