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

// clientAuth reads the credentials of the only authentication method that the client uses (RFC 6749 §2.3). A request without a
// secret and an assertion may come from a client with a certificate (RFC 8705 §2), or with a token that names it.
func clientAuth(h http.Header, p params) (Credentials, *Error) {
	authorization, headers := authorizationOf(h)
	assertion := p.get("client_assertion") != "" || p.get("client_assertion_type") != ""
	secret := p.get("client_secret") != ""
	if headers > 1 || atLeastTwo(headers == 1, secret, assertion) {
		return Credentials{}, InvalidRequest("more than one client authentication method")
	}
	switch {
	case assertion:
		return assertionAuth(p)
	case headers == 1:
		return basicAuth(authorization, p.get("client_id"))
	case secret:
		return postAuth(p)
	}
	c := Credentials{ClientID: p.get("client_id")}
	return c, c.check()
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

// assertionAuth reads an assertion (RFC 7521 §4.2). The client_id is optional, because the assertion names the client.
func assertionAuth(p params) (Credentials, *Error) {
	c := Credentials{
		ClientID: p.get("client_id"), Method: ClientAssertion,
		Assertion: p.get("client_assertion"), AssertionType: p.get("client_assertion_type"),
	}
	switch {
	case c.Assertion == "":
		return Credentials{}, InvalidRequest("client_assertion is missing")
	case c.AssertionType == "":
		return Credentials{}, InvalidRequest("client_assertion_type is missing")
	case c.AssertionType != AssertionTypeJWT && c.AssertionType != AssertionTypeSPIFFE: // an unsupported method (RFC 6749 §5.2)
		return Credentials{}, invalidClient("the client_assertion_type is not supported")
	}
	return c, c.check()
}

// basicAuth reads client_secret_basic. Some libraries also send client_id in the body. It must be the same one.
func basicAuth(authorization, bodyID string) (Credentials, *Error) {
	c, fault := parseBasic(authorization)
	if fault != nil {
		return Credentials{}, fault
	}
	if bodyID != "" && bodyID != c.ClientID {
		return Credentials{}, InvalidRequest("client_id differs from the one in the Authorization header")
	}
	return c, c.check()
}

// postAuth reads client_secret_post.
func postAuth(p params) (Credentials, *Error) {
	c := Credentials{ClientID: p.get("client_id"), Secret: p.get("client_secret"), Method: ClientSecretPost}
	if c.ClientID == "" {
		return Credentials{}, MissingClientAuthentication()
	}
	return c, c.check()
}

// check refuses credentials that no client can have, with the response to wrong credentials. It leaves it to the registry
// whether the secret is well-formed, so that the log names the client whose secret has, for example, a line break at its end.
func (c Credentials) check() *Error {
	if c.ClientID != "" && !isPrintable(c.ClientID, maxClientID) || len(c.Secret) > maxClientSecret {
		return InvalidClient()
	}
	return nil
}

// isPrintable checks RFC 6749's client_id, *VSCHAR (appendix A.1).
func isPrintable(s string, limit int) bool {
	return s != "" && len(s) <= limit && strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) < 0
}
