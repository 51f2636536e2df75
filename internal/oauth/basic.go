package oauth

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
)

// maxBasic bounds the encoded credentials: every byte of both may be percent-encoded.
const maxBasic = (3*(maxClientID+maxClientSecret) + 1 + 2) / 3 * 4

// parseBasic reads HTTP Basic credentials as RFC 6749 §2.3.1 wants them: each half encoded as a
// form field, then joined by ":" and encoded as RFC 7617 says.
func parseBasic(authorization string) (credentials, *Error) {
	encoded, ok := afterScheme(authorization, "Basic")
	if !ok {
		return credentials{}, invalidClient("the Authorization header's scheme must be Basic")
	}
	c, err := decodeBasic(encoded)
	if err != nil {
		return credentials{}, invalidClient("malformed Basic credentials")
	}
	return c, nil
}

var errBasic = errors.New("malformed Basic credentials")

func decodeBasic(encoded string) (credentials, error) {
	// encoding/base64 passes over line breaks, also when it is strict.
	if len(encoded) > maxBasic || strings.ContainsAny(encoded, "\r\n") {
		return credentials{}, errBasic
	}
	pair, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return credentials{}, errBasic
	}
	id, secret, ok := strings.Cut(string(pair), ":")
	if !ok {
		return credentials{}, errBasic
	}
	id, idErr := url.QueryUnescape(id)
	secret, secretErr := url.QueryUnescape(secret)
	if idErr != nil || secretErr != nil || id == "" || secret == "" {
		return credentials{}, errBasic
	}
	return credentials{id: id, secret: secret, method: ClientSecretBasic}, nil
}

// afterScheme is what follows the authentication scheme in an Authorization header, when the
// scheme is the wanted one in any case (RFC 9110 §11.1). The lengths are compared because
// EqualFold alone takes "ſ" for "s".
func afterScheme(authorization, want string) (string, bool) {
	scheme, rest, _ := strings.Cut(authorization, " ")
	if len(scheme) != len(want) || !strings.EqualFold(scheme, want) {
		return "", false
	}
	return strings.TrimLeft(rest, " "), true
}
