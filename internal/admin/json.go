package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// checkJSON fails with the place of the error if data is not one JSON object, or a name in it is repeated.
func checkJSON(data []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(data))
	value, err := d.ReadValue()
	if err == nil && value.Kind() != '{' {
		return api.Invalid("the body must be a JSON object")
	}
	if err == nil {
		_, err = d.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("something follows the JSON object")
		}
	}
	return api.Invalid("the body, %s: %s", placeOf(err, d.InputOffset(), data), jsonFault(err))
}

// jsonFault returns what is wrong, without the decoder's words around it.
func jsonFault(err error) string {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return "the JSON is not complete"
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		return fmt.Sprintf("the name %q is repeated", syntax.JSONPointer.LastToken())
	case errors.As(err, &syntax):
		return "it is not JSON: " + syntax.Err.Error()
	}
	return err.Error()
}

// placeOf returns the place of an error, which is at offset unless the error has its own.
func placeOf(err error, offset int64, data []byte) string {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		offset = syntax.ByteOffset
	}
	before := data[:min(int(offset), len(data))]
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n'))
}

// decodeObject reads a JSON object, and keeps its numbers as they are written.
func decodeObject(data []byte) (object map[string]any, err error) {
	if err := checkJSON(data); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		return nil, api.Invalid("the body cannot be read")
	}
	return object, nil
}

// bodyFields are the fields of a body that have not been taken yet.
type bodyFields map[string]json.RawMessage

// fields reads a JSON object with fields of these names. Messages call the object what. The case of names matters, and a
// name can appear once.
func (a *request) fields(what string, known ...string) (bodyFields, error) {
	data, _, err := a.body(api.MaxBody, "application/json")
	if err != nil {
		return nil, err
	}
	if err := checkJSON(data); err != nil {
		return nil, err
	}
	fields := make(bodyFields)
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, api.Invalid("the body cannot be read")
	}
	return fields, fields.check(what, known...)
}

// check refuses fields of other names.
func (f bodyFields) check(what string, known ...string) error {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !slices.Contains(known, name) {
			return api.Invalid("%s", registry.UnknownField(name, what, known...))
		}
	}
	return nil
}

// optionalFields is fields for a request that may have no body.
func (a *request) optionalFields(what string, known ...string) (bodyFields, error) {
	if a.r.ContentLength == 0 {
		return bodyFields{}, nil
	}
	return a.fields(what, known...)
}

// take removes a field and reads it, if it is there. must says what the field must be, for the message.
func (f bodyFields) take(name, must string, into any) (given bool, err error) {
	return f.takeOf("", name, must, into)
}

// takeOf is take for a field of an inner object; of is the name of that object and a dot.
func (f bodyFields) takeOf(of, name, must string, into any) (given bool, err error) {
	raw, given := f[name]
	delete(f, name)
	if given && (string(raw) == "null" || json.Unmarshal(raw, into) != nil) {
		return false, api.Invalid("%s%s must be %s", of, name, must)
	}
	return given, nil
}

func (f bodyFields) text(name string) (text string, given bool, err error) {
	given, err = f.take(name, "a string", &text)
	return text, given, err
}

// texts returns a list of strings, which must not contain null.
func (f bodyFields) texts(name string) (list []string, given bool, err error) {
	var elements []*string
	given, err = f.take(name, "a list of strings", &elements)
	for _, element := range elements {
		if element == nil {
			return nil, false, api.Invalid("%s must be a list of strings", name)
		}
		list = append(list, *element)
	}
	return list, given, err
}

func (f bodyFields) flag(name string, otherwise bool) (flag bool, err error) {
	flag = otherwise
	_, err = f.take(name, "true or false", &flag)
	return flag, err
}

// future returns a time, which must not be in the past, or the zero time if it is missing.
func (f bodyFields) future(name string) (at time.Time, err error) {
	given, err := f.take(name, "a time as in RFC 3339, such as 2027-01-31T00:00:00Z", &at)
	if err == nil && given && !at.After(time.Now()) {
		err = api.Invalid("%s is in the past", name)
	}
	return at, err
}
