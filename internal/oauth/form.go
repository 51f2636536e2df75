package oauth

import (
	"bytes"
	"net/url"
)

// parseForm reads an application/x-www-form-urlencoded body. Malformed percent-encoding and ";",
// which some parsers take for a separator and others do not, are refused.
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
