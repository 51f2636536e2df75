package oauth

import (
	"bytes"
	"net/url"
)

// parseForm reads an application/x-www-form-urlencoded body. It refuses malformed percent-encoding, and ";", which only some
// parsers take for a separator.
func parseForm(body []byte) (params, *Error) {
	if bytes.Count(body, []byte("&")) >= maxParams {
		return nil, tooMany()
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, InvalidRequest("the body is not a well-formed form")
	}
	return params(values), nil
}
