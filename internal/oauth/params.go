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
var readParameters = [...]string{
	"grant_type", "scope", "resource", "audience", "client_id", "client_secret", "client_assertion", "client_assertion_type", "token",
	"assertion", "subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type",
}

// isRead reports whether an endpoint reads the parameter.
func isRead(name string) bool { return indexOfRead(name) >= 0 }

// indexOfRead returns the index of a parameter in readParameters, -1 if it is ignored.
func indexOfRead(name string) int { return slices.Index(readParameters[:], name) }

// mayRepeat reports whether a parameter may have several values (RFC 8707 §2, RFC 8693 §2.1).
func mayRepeat(name string) bool { return name == "resource" || name == "audience" }

// params are a request's parameters in the order of the body, with those that are ignored. They are a list, because a map
// allocates for each name. Of those that are read, only resource and audience may be repeated.
type params []param

type param struct{ name, value string }

// get returns the value of a parameter that cannot be repeated, or "" if it is omitted.
func (p params) get(name string) string {
	for i := range p {
		if p[i].name == name {
			return p[i].value
		}
	}
	return ""
}

// all returns the values of a parameter that may be repeated.
func (p params) all(name string) (values []string) {
	for i := range p {
		if p[i].name == name {
			values = append(values, p[i].value)
		}
	}
	return values
}

// check refuses names that are not text, and read parameters that are repeated (RFC 6749 §3.2) or not text.
func (p params) check(t bodyType) *Error {
	isRepeated := false
	var seen [len(readParameters)]bool
	for i := range p {
		if !isUTF8(p[i].name) {
			return InvalidRequest("a parameter's name is not UTF-8 text")
		}
		read := indexOfRead(p[i].name)
		if read < 0 {
			continue
		}
		if !t.isText(p[i].value) {
			return InvalidRequest("a parameter's value is not UTF-8 text")
		}
		isRepeated = isRepeated || seen[read] && !mayRepeat(p[i].name)
		seen[read] = true
	}
	if isRepeated {
		return repeated()
	}
	return nil
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
	var p params
	if body = trimBody(body); kind.media == typeJSON {
		p, fault = parseJSON(body)
	} else {
		p, fault = parseForm(body)
	}
	if fault != nil {
		return nil, fault
	}
	return p, p.check(kind)
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
	body, err := readAll(http.MaxBytesReader(w, r.Body, MaxBody), r.ContentLength)
	if err != nil {
		var limit *http.MaxBytesError
		if errors.As(err, &limit) {
			return nil, tooLarge()
		}
		return nil, InvalidRequest("the body ended early")
	}
	return body, nil
}

// maxHint bounds what is allocated for a body before it is there.
const maxHint = 2 << 10

// readAll is io.ReadAll for a body whose length is known, -1 if not.
func readAll(r io.Reader, length int64) ([]byte, error) {
	hint := min(length, maxHint)
	if length < 0 {
		hint = 512
	}
	body := make([]byte, 0, hint+1) // one more, to see the end
	for {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return body, err
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

// parseForm reads an application/x-www-form-urlencoded body. It refuses malformed percent-encoding, and ";", which only some
// parsers take for a separator.
func parseForm(body []byte) (params, *Error) {
	if bytes.Count(body, []byte("&")) >= maxParams {
		return nil, tooMany()
	}
	text := string(body)
	p := make(params, 0, strings.Count(text, "&")+1)
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(name)
		value, valueErr := url.QueryUnescape(value)
		if nameErr != nil || valueErr != nil || strings.Contains(pair, ";") {
			return nil, InvalidRequest("the body is not a well-formed form")
		}
		if pair != "" {
			p = append(p, param{name, value})
		}
	}
	return p, nil
}
