package oauth

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var (
	errNotString = errors.New("not a string")
	errTooMany   = errors.New("too many members")
)

// parameterValues makes json.Unmarshal read the values of a parameter with readValues.
var parameterValues = json.WithUnmarshalers(json.UnmarshalFromFunc(readValues))

// parseJSON reads an application/json body: one object. The members that are read are strings or null, which counts as
// omitted. The members resource and audience may also be arrays of strings.
func parseJSON(body []byte) (params, *Error) {
	members, fault := parseMembers(body)
	return paramsOf(members), fault
}

func parseMembers(body []byte) (map[string][]string, *Error) {
	var members map[string][]string
	err := json.Unmarshal(body, &members, parameterValues)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, repeated()
	case errors.Is(err, errTooMany):
		return nil, tooMany()
	case errors.Is(err, errNotString):
		return nil, InvalidRequest("a parameter must be a JSON string; resource and audience may be arrays of them")
	case err != nil || members == nil:
		return nil, InvalidRequest("the body is not one JSON object")
	}
	return members, nil
}

// paramsOf returns the members of an object as parameters. One that is omitted or ignored has no value.
func paramsOf(members map[string][]string) params {
	p := make(params, 0, len(members))
	for name, values := range members {
		for _, value := range values {
			p = append(p, param{name, value})
		}
		if len(values) == 0 {
			p = append(p, param{name: name})
		}
	}
	return p
}

// readValues reads the value of a member: a string, or for resource and audience also an array of strings. It skips the value of
// a member that is ignored. It fails if more members follow than a request may have.
func readValues(dec *jsontext.Decoder, values *[]string) (err error) {
	name := dec.StackPointer().LastToken()
	switch kind := dec.PeekKind(); {
	case !isRead(name) || kind == jsontext.KindNull:
		*values, err = nil, dec.SkipValue()
	case kind == jsontext.KindBeginArray && mayRepeat(name):
		*values, err = readArray(dec)
	default:
		*values = make([]string, 1)
		(*values)[0], err = readString(dec)
	}
	if err != nil {
		return err
	}
	if _, count := dec.StackIndex(1); count >= 2*maxParams && dec.PeekKind() != jsontext.KindEndObject { // names count, too
		return errTooMany
	}
	return nil
}

func readArray(dec *jsontext.Decoder) (values []string, err error) {
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
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
	_, err = dec.ReadToken()
	return values, err
}

func readString(dec *jsontext.Decoder) (string, error) {
	switch dec.PeekKind() {
	case jsontext.KindString, jsontext.KindInvalid: // ReadToken says what is not valid
	default:
		return "", errNotString
	}
	token, err := dec.ReadToken()
	if err != nil {
		return "", err
	}
	return token.String(), nil
}
