package oauth

import (
	"net/http"
	"net/url"
	"strings"
)

// BearerToken finds the one bearer token of a request, in the Authorization header (RFC 6750
// §2.1), the only way that is supported. No such header or another scheme is a bare 401; two of
// them, a token that is empty or has characters outside b64token, and a second token in the query
// (§2.3: a client uses one way at most) are 400. The challenge is nil when there is a token.
func BearerToken(r *http.Request) (token string, refused *Challenge) {
	values := r.Header.Values("Authorization")
	switch {
	case len(values) == 0:
		return "", missingToken()
	case len(values) > 1:
		return "", malformedRequest("more than one Authorization header")
	}
	token, ok := afterScheme(values[0], "Bearer")
	switch {
	case !ok:
		return "", missingToken()
	case !isB64Token(token):
		return "", malformedRequest("the Authorization header does not hold one well-formed Bearer token")
	case queryHasToken(r.URL.RawQuery):
		return "", malformedRequest("an access token in the URL beside the one in the Authorization header")
	}
	return token, nil
}

// isB64Token holds RFC 6750 §2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=".
func isB64Token(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !b64TokenChars[s[i]] {
			return false
		}
	}
	return s != ""
}

// b64TokenChars is a table because every byte of every request's token passes it.
var b64TokenChars = func() (table [256]bool) {
	for c := range len(table) {
		table[c] = isAlphanumeric(byte(c)) || strings.IndexByte("-._~+/", byte(c)) >= 0
	}
	return table
}()

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// queryHasToken looks for the parameter access_token as any upstream may: "&" and ";" separate,
// and a malformed neighbour hides nothing.
func queryHasToken(rawQuery string) bool {
	for pair := range strings.FieldsFuncSeq(rawQuery, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err == nil && decoded == "access_token" {
			return true
		}
	}
	return false
}
