package oauth

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
)

// maxBasic bounds the encoded credentials, in which every byte may be percent-encoded.
const maxBasic = (3*(maxClientID+maxClientSecret) + 1 + 2) / 3 * 4

// parseBasic reads HTTP Basic credentials (RFC 7617) whose halves are each encoded as a form field (RFC 6749 §2.3.1). Many
// clients do not encode them, and both must be read in the same way. So
//
//   - the last colon separates the halves: an id such as urn:app has others, and no secret has one;
//   - "+" is not a space: ids and secrets can have "+", and no space.
func parseBasic(authorization string) (Credentials, *Error) {
	encoded, ok := afterScheme(authorization, "Basic")
	if !ok {
		return Credentials{}, invalidClient("the Authorization header's scheme must be Basic")
	}
	c, err := decodeBasic(encoded)
	if err != nil {
		return Credentials{}, invalidClient("malformed Basic credentials")
	}
	return c, nil
}

var errBasic = errors.New("malformed Basic credentials")

func decodeBasic(encoded string) (Credentials, error) {
	// encoding/base64 ignores line breaks even in strict mode.
	if len(encoded) > maxBasic || strings.ContainsAny(encoded, "\r\n") {
		return Credentials{}, errBasic
	}
	pair, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return Credentials{}, errBasic
	}
	colon := bytes.LastIndexByte(pair, ':')
	if colon < 0 {
		return Credentials{}, errBasic
	}
	text := string(pair)
	id, idErr := url.PathUnescape(text[:colon])
	secret, secretErr := url.PathUnescape(text[colon+1:])
	if idErr != nil || secretErr != nil || id == "" || secret == "" {
		return Credentials{}, errBasic
	}
	return Credentials{ClientID: id, Secret: secret, Method: ClientSecretBasic}, nil
}

// afterScheme returns what follows the authentication scheme in an Authorization header, if that is the wanted scheme. Case
// does not matter (RFC 9110 §11.1). The lengths are compared because EqualFold alone equates "ſ" and "s".
func afterScheme(authorization, want string) (string, bool) {
	scheme, rest, _ := strings.Cut(authorization, " ")
	if len(scheme) != len(want) || !strings.EqualFold(scheme, want) {
		return "", false
	}
	return strings.TrimLeft(rest, " "), true
}
