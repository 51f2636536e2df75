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

// checkJSON refuses what is not one JSON object, and repeated names in it, and says where.
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

// jsonFault is what is wrong, without the reader's own words around it.
func jsonFault(err error) string {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return "the JSON is not complete"
	case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
		return fmt.Sprintf("the name %q is repeated", syntax.JSONPointer.LastToken())
	case errors.As(err, &syntax):
		return "it is no JSON: " + syntax.Err.Error()
	}
	return err.Error()
}

// placeOf is where in a text an error is; what has been read up to an offset was good.
func placeOf(err error, offset int64, data []byte) string {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		offset = syntax.ByteOffset
	}
	before := data[:min(int(offset), len(data))]
	return fmt.Sprintf("line %d, column %d", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n'))
}

// decodeObject reads a JSON object, in which numbers stay as they were written.
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

// fields reads a JSON object whose fields have these names; what is in the messages. Names count with
// their case, and count once.
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

// check finds fields of other names.
func (f bodyFields) check(what string, known ...string) error {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !slices.Contains(known, name) {
			return api.Invalid("%s", registry.UnknownField(name, what, known...))
		}
	}
	return nil
}

// optionalFields is fields, where no body at all is one without any.
func (a *request) optionalFields(what string, known ...string) (bodyFields, error) {
	if a.r.ContentLength == 0 {
		return bodyFields{}, nil
	}
	return a.fields(what, known...)
}

// take reads a field, if it is there, and takes it out; must is what it must be, for the message.
func (f bodyFields) take(name, must string, into any) (given bool, err error) {
	return f.takeOf("", name, must, into)
}

// takeOf is take for a field of what is itself a field; of is that one's name and a dot.
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

// texts is a list of strings; null in it is none.
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

// future is a time that is not over; the zero time is that none is given.
func (f bodyFields) future(name string) (at time.Time, err error) {
	given, err := f.take(name, "a time as in RFC 3339, such as 2027-01-31T00:00:00Z", &at)
	if err == nil && given && !at.After(time.Now()) {
		err = api.Invalid("%s is in the past", name)
	}
	return at, err
}
