package oauth

import (
	"net/http"
	"net/url"
	"strings"
)

// The schemes in which an access token is presented.
const (
	SchemeBearer = "Bearer" // RFC 6750 §2.1
	SchemeDPoP   = "DPoP"   // RFC 9449 §7.1
)

// AccessToken returns the only access token of a request and its scheme, from the Authorization header. The challenge is nil
// if there is one. It is 401 without an error code if the header is missing or has another scheme. It is 400 if there are two
// such headers, if the token is empty or is not a b64token, or if the query has a token, too (RFC 6750 §2.3).
func AccessToken(r *http.Request) (token, scheme string, refused *Challenge) {
	values := r.Header.Values("Authorization")
	switch {
	case len(values) == 0:
		return "", "", missingToken()
	case len(values) > 1:
		return "", "", malformedRequest("more than one Authorization header")
	}
	scheme = SchemeBearer
	token, ok := afterScheme(values[0], scheme)
	if !ok {
		scheme = SchemeDPoP
		token, ok = afterScheme(values[0], scheme)
	}
	switch {
	case !ok:
		return "", "", missingToken()
	case !isB64Token(token):
		return "", "", malformedRequest("the Authorization header does not hold one well-formed " + scheme + " token")
	case queryHasToken(r.URL.RawQuery):
		return "", "", malformedRequest("an access token in the URL beside the one in the Authorization header")
	}
	return token, scheme, nil
}

// TokenInURL refuses a request with an access token in the query of its URL (RFC 6750 §2.3), nil if there is none.
func TokenInURL(u *url.URL) (refused *Challenge) {
	if queryHasToken(u.RawQuery) {
		return malformedRequest("an access token in the URL")
	}
	return nil
}

// isB64Token checks RFC 6750 §2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=".
func isB64Token(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !b64TokenChars[s[i]] {
			return false
		}
	}
	return s != ""
}

// b64TokenChars is a table, for speed: each byte of each token is looked up.
var b64TokenChars = func() (table [256]bool) {
	for c := range len(table) {
		table[c] = isAlphanumeric(byte(c)) || strings.IndexByte("-._~+/", byte(c)) >= 0
	}
	return table
}()

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// queryHasToken reports whether some upstream may find the parameter access_token in a query: "&" and ";" separate
// parameters, and one that is malformed does not hide others.
func queryHasToken(rawQuery string) bool {
	for pair := range strings.FieldsFuncSeq(rawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err == nil && decoded == "access_token" {
			return true
		}
	}
	return false
}
