package oauth

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxParams bounds the parameters of one request, counting repeated ones, and the values of an array.
const maxParams = 100

// params are a request's parameters by name. Only resource may have more than one value.
type params map[string][]string

// get returns the value of a parameter that cannot be repeated, or "" if it is omitted.
func (p params) get(name string) string {
	if values := p[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// check refuses repeated parameters (RFC 6749 §3.2) and what is not text.
func (p params) check() *Error {
	for name, values := range p {
		if !isText(name) {
			return InvalidRequest("a parameter's name is not UTF-8 text")
		}
		for _, value := range values {
			if !isText(value) {
				return InvalidRequest("a parameter's value is not UTF-8 text")
			}
		}
	}
	for name, values := range p {
		if len(values) > 1 && name != "resource" {
			return repeated()
		}
	}
	return nil
}

func repeated() *Error { return InvalidRequest("a parameter is repeated") }

func tooMany() *Error { return InvalidRequest("too many parameters") }

func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

func readParams(w http.ResponseWriter, r *http.Request) (params, *Error) {
	media, fault := bodyType(r.Header)
	if fault != nil {
		return nil, fault
	}
	body, fault := readBody(w, r)
	if fault != nil {
		return nil, fault
	}
	parse := parseForm
	if media == typeJSON {
		parse = parseJSON
	}
	p, fault := parse(body)
	if fault != nil {
		return nil, fault
	}
	return p, p.check()
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
