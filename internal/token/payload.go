package token

import (
	stdjson "encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth bounds how deeply objects and arrays of a payload are nested. The payload itself counts as one.
const maxDepth = 16

// maxNumberSize bounds the text of one number, in bytes.
const maxNumberSize = 64

var errPayload = errors.New("not a JWT claims set")

// payload is a claims set as decoded JSON: map[string]any, []any, string, bool, nil, and
// json.Number of the standard library, which keeps integers of any size exact.
type payload map[string]any

// parsePayload reads one JSON object with no repeated member at any depth.
func parsePayload(data []byte) (payload, error) {
	var p payload
	if err := json.Unmarshal(data, &p); err != nil || p == nil {
		return nil, refuse(Malformed, "payload is not one JSON object of sane depth and numbers")
	}
	return p, nil
}

// UnmarshalJSONFrom reads an object; the decoder refuses repeated members and invalid UTF-8.
func (p *payload) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return errPayload
	}
	object, err := readObject(dec)
	*p = object
	return err
}

func readValue(dec *jsontext.Decoder) (any, error) {
	if dec.StackDepth() > maxDepth {
		return nil, errPayload
	}
	switch dec.PeekKind() {
	case '{':
		return readObject(dec)
	case '[':
		return readArray(dec)
	}
	tok, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case 't', 'f':
		return tok.Bool(), nil
	case '"':
		return tok.String(), nil
	case '0':
		return readNumber(tok.String())
	}
	return nil, nil
}

func readObject(dec *jsontext.Decoder) (map[string]any, error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	object := make(map[string]any)
	for dec.PeekKind() == '"' {
		key, err := readName(dec)
		if err != nil {
			return nil, err
		}
		if object[key], err = readValue(dec); err != nil {
			return nil, err
		}
	}
	_, err := dec.ReadToken()
	return object, err
}

// usualNames has names of claims as they are written in a payload, for fewer allocations.
var usualNames = func() map[string]string {
	names := make(map[string]string)
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope"} {
		names[strconv.Quote(name)] = name
	}
	return names
}()

func readName(dec *jsontext.Decoder) (string, error) {
	quoted, err := dec.ReadValue()
	if err != nil {
		return "", err
	}
	if name, ok := usualNames[string(quoted)]; ok {
		return name, nil
	}
	name, err := jsontext.AppendUnquote(nil, quoted)
	return string(name), err
}

func readArray(dec *jsontext.Decoder) ([]any, error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	array := []any{}
	for kind := dec.PeekKind(); kind != ']' && kind != 0; kind = dec.PeekKind() {
		value, err := readValue(dec)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := dec.ReadToken()
	return array, err
}

// readNumber refuses a number that a double cannot hold. Converting 1e999999999 to an integer would take very long.
func readNumber(text string) (any, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || len(text) > maxNumberSize || f == 0 && strings.ContainsAny(text, "eE") {
		return nil, errPayload
	}
	return stdjson.Number(text), nil
}
