package oauth

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// parseJSON reads an application/json body: one object, whose members are strings and have
// different names; resource may also be an array of strings.
func parseJSON(body []byte) (params, *Error) {
	p := params{}
	err := readObject(jsontext.NewDecoder(bytes.NewReader(body)), p)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, repeated()
	case errors.Is(err, errTooMany):
		return nil, tooMany()
	case errors.Is(err, errNotString):
		return nil, InvalidRequest("every parameter must be a JSON string; resource may be an array of them")
	case err != nil:
		return nil, InvalidRequest("the body is not one JSON object")
	}
	return p, nil
}

var (
	errNotObject = errors.New("not one object")
	errNotString = errors.New("not a string")
	errTooMany   = errors.New("too many members")
)

func readObject(dec *jsontext.Decoder, p params) error {
	if dec.PeekKind() != jsontext.KindBeginObject {
		return errNotObject
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for count := 0; dec.PeekKind() != jsontext.KindEndObject; count++ {
		if count == maxParams {
			return errTooMany
		}
		if err := readMember(dec, p); err != nil {
			return err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	return expectEnd(dec)
}

func readMember(dec *jsontext.Decoder, p params) error {
	token, err := dec.ReadToken()
	if err != nil {
		return err
	}
	name := token.String() // the token is void after the next read
	values, err := readStrings(dec, name == "resource")
	p[name] = values
	return err
}

func readStrings(dec *jsontext.Decoder, array bool) ([]string, error) {
	if !array || dec.PeekKind() != jsontext.KindBeginArray {
		value, err := readString(dec)
		return []string{value}, err
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	var values []string
	for dec.PeekKind() != jsontext.KindEndArray {
		if len(values) == maxParams {
			return nil, errTooMany
		}
		value, err := readString(dec)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
	}
	_, err := dec.ReadToken()
	return values, err
}

func readString(dec *jsontext.Decoder) (string, error) {
	switch dec.PeekKind() {
	case jsontext.KindString, jsontext.KindInvalid: // the read tells what is invalid
	default:
		return "", errNotString
	}
	token, err := dec.ReadToken()
	if err != nil {
		return "", err
	}
	return token.String(), nil
}

func expectEnd(dec *jsontext.Decoder) error {
	_, err := dec.ReadToken()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return errNotObject
}
