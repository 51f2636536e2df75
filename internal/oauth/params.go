package oauth

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxParams bounds the parameters of one request, counting repeated ones, and the values of an array.
const maxParams = 100

// readParameters are the parameters that the endpoints read. RFC 6749 §3.2 tells a server to ignore all others, so only these
// are checked, apart from the form of the body.
var readParameters = []string{
	"grant_type", "scope", "resource", "audience", "client_id", "client_secret", "client_assertion", "client_assertion_type", "token",
}

// isRead reports whether an endpoint reads the parameter.
func isRead(name string) bool { return slices.Contains(readParameters, name) }

// mayRepeat reports whether a parameter may have several values (RFC 8707 §2, RFC 8693 §2.1).
func mayRepeat(name string) bool { return name == "resource" || name == "audience" }

// params are a request's parameters by name, with those that are ignored. Only resource and audience may have more than one
// value of those that are read.
type params map[string][]string

// get returns the value of a parameter that cannot be repeated, or "" if it is omitted.
func (p params) get(name string) string {
	if values := p[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// check refuses names that are not text, and read parameters that are repeated (RFC 6749 §3.2) or not text.
func (p params) check(isText func(string) bool) *Error {
	for name, values := range p {
		if !isUTF8(name) {
			return InvalidRequest("a parameter's name is not UTF-8 text")
		}
		if isRead(name) && !all(values, isText) {
			return InvalidRequest("a parameter's value is not UTF-8 text")
		}
	}
	for name, values := range p {
		if len(values) > 1 && isRead(name) && !mayRepeat(name) {
			return repeated()
		}
	}
	return nil
}

func all(values []string, ok func(string) bool) bool {
	return !slices.ContainsFunc(values, func(value string) bool { return !ok(value) })
}

func repeated() *Error { return InvalidRequest("a parameter is repeated") }

func tooMany() *Error { return InvalidRequest("too many parameters") }

// isUTF8 and isASCII report whether a text without NUL is in that encoding.
func isUTF8(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r == 0 || r >= utf8.RuneSelf }) < 0
}

func readParams(w http.ResponseWriter, r *http.Request) (params, *Error) {
	kind, fault := bodyTypeOf(r.Header)
	if fault != nil {
		return nil, fault
	}
	body, fault := readBody(w, r)
	if fault != nil {
		return nil, fault
	}
	parse := parseForm
	if kind.media == typeJSON {
		parse = parseJSON
	}
	p, fault := parse(trimBody(body))
	if fault != nil {
		return nil, fault
	}
	return p, p.check(kind.isText)
}

// trimBody removes what programs put around a body that they read from a file: a byte order mark (RFC 8259 §8.1) and a line
// break, which a form has only percent-encoded.
func trimBody(body []byte) []byte {
	return bytes.TrimRight(bytes.TrimPrefix(body, []byte("\ufeff")), "\r\n")
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *Error) {
	if r.ContentLength > MaxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return nil, tooLarge()
	case err != nil:
		return nil, InvalidRequest("the body ended early")
	}
	return body, nil
}

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
