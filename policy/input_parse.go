package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// ParseTokenInput reads an input as the decision log has it. It ignores members that it does not know, which are those of
// a later version. It returns an error for a member of another type, and if a member is missing that every decision needs:
// client with its grants, scopes, resources or request.
func ParseTokenInput(data []byte) (TokenInput, error) {
	var read struct {
		TokenInput
		Client  *Client       `json:"client"`
		Request *TokenRequest `json:"request"`
	}
	if err := DecodeLogged("input", data, &read); err != nil {
		return TokenInput{}, err
	}
	in := read.TokenInput
	switch {
	case read.Client == nil:
		return TokenInput{}, missing("client")
	case read.Client.Grants == nil:
		return TokenInput{}, missing("client.grants")
	case in.Scopes == nil:
		return TokenInput{}, missing("scopes")
	case in.Resources == nil:
		return TokenInput{}, missing("resources")
	case read.Request == nil:
		return TokenInput{}, missing("request")
	}
	for code, resource := range in.Resources {
		if resource == nil { // null, which has been read as an empty resource
			in.Resources[code] = new(Resource)
		}
	}
	in.Client, in.Request = read.Client, *read.Request
	return in, checkScopes(in.Scopes)
}

// ParseRequestInput is like ParseTokenInput for a decision on a proxied request, which needs request with its path and
// token with its scopes.
func ParseRequestInput(data []byte) (RequestInput, error) {
	var read struct {
		RequestInput
		Request *ProxiedRequest `json:"request"`
		Token   *Token          `json:"token"`
	}
	if err := DecodeLogged("input", data, &read); err != nil {
		return RequestInput{}, err
	}
	switch {
	case read.Request == nil:
		return RequestInput{}, missing("request")
	case read.Request.Path == nil:
		return RequestInput{}, missing("request.path")
	case read.Token == nil:
		return RequestInput{}, missing("token")
	case read.Token.Scopes == nil:
		return RequestInput{}, missing("token.scopes")
	}
	in := read.RequestInput
	in.Request, in.Token = *read.Request, *read.Token
	return in, checkScopes(in.Token.Scopes)
}

func missing(member string) error { return fmt.Errorf("reading input: %s is missing", member) }

// embedded matches the names of embedded structs in the path of a field. JSON does not have them.
var embedded = regexp.MustCompile(`\b[A-Z]\w*\.`)

// DecodeLogged decodes input or result of a logged decision, and keeps numbers as they are written. Its errors name the
// member and do not quote it.
func DecodeLogged(member string, data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	err := decoder.Decode(into)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("reading %s: %s is a %s", member, embedded.ReplaceAllString(wrong.Field, ""), wrong.Value)
	case err != nil:
		return fmt.Errorf("reading %s: %w", member, err)
	case decoder.InputOffset() < int64(len(bytes.TrimRight(data, " \t\r\n"))):
		return fmt.Errorf("reading %s: more than one JSON value", member)
	}
	return nil
}

// checkScopes finds a scope whose parts are not those of its raw form, which no request has.
func checkScopes(scopes []scope.Scope) error {
	for i, logged := range scopes {
		if s, err := scope.Parse(logged.Raw); err != nil || s != logged {
			return fmt.Errorf("reading input: scope %d is not valid", i+1)
		}
	}
	return nil
}
