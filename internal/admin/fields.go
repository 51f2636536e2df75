package admin

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// bodyFields are the fields of a JSON object. Its methods remove a field and read it. They keep the first error in err, and
// read nothing after it.
type bodyFields struct {
	of  string // of an inner object: its name and a dot, for messages
	raw map[string]json.RawMessage
	err error
}

// fields reads a JSON object with fields of these names. Messages call the object what. The case of names matters, and a
// name can appear once.
func (a *request) fields(what string, known ...string) *bodyFields {
	f := new(bodyFields)
	var data []byte
	if data, _, f.err = a.body(api.MaxBody, "application/json"); f.err == nil {
		f.err = checkJSON(data)
	}
	if f.err == nil && json.Unmarshal(data, &f.raw) != nil {
		f.fail("the body cannot be read")
	}
	f.check(what, known...)
	return f
}

// optionalFields is fields for a request that may have no body.
func (a *request) optionalFields(what string, known ...string) *bodyFields {
	if a.r.ContentLength == 0 {
		return new(bodyFields)
	}
	return a.fields(what, known...)
}

// check refuses fields of other names.
func (f *bodyFields) check(what string, known ...string) {
	for _, name := range slices.Sorted(maps.Keys(f.raw)) {
		if !slices.Contains(known, name) {
			f.fail("%s", registry.UnknownField(name, what, known...))
		}
	}
}

// fail keeps an error, unless there is one already.
func (f *bodyFields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = api.Invalid(format, args...)
	}
}

func (f *bodyFields) has(name string) bool { return f.raw[name] != nil }

// take removes a field and reads it, if it is there. must says what the field must be, for the message.
func (f *bodyFields) take(name, must string, into any) (given bool) {
	raw, given := f.raw[name]
	delete(f.raw, name)
	if !given || f.err != nil {
		return false
	}
	if string(raw) == "null" || json.Unmarshal(raw, into) != nil {
		f.fail("%s%s must be %s", f.of, name, must)
	}
	return f.err == nil
}

func (f *bodyFields) text(name string) (text string, given bool) {
	given = f.take(name, "a string", &text)
	return text, given
}

// texts returns a list of strings, which must not contain null.
func (f *bodyFields) texts(name string) (list []string, given bool) {
	var elements []*string
	given = f.take(name, "a list of strings", &elements)
	for _, element := range elements {
		if element == nil {
			f.fail("%s must be a list of strings", name)
			return nil, false
		}
		list = append(list, *element)
	}
	return list, given
}

func (f *bodyFields) flag(name string, otherwise bool) bool {
	f.take(name, "true or false", &otherwise)
	return otherwise
}

// time reads a time into at.
func (f *bodyFields) time(name string, at *time.Time) (given bool) {
	return f.take(name, "a time as in RFC 3339, such as 2027-01-31T00:00:00Z", at)
}

// future returns a time, which must not be in the past, or the zero time if it is missing.
func (f *bodyFields) future(name string) (at time.Time) {
	if f.time(name, &at) && !at.After(time.Now()) {
		f.fail("%s is in the past", name)
	}
	return at
}
