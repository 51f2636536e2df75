package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// ParseTokenInput reads an input as the decision log has it. Members that it does not know are of a
// later version and are passed over. It fails on a member of another type, and without any of those
// that every decision stands on: client with its grants, scopes, resources and request.
func ParseTokenInput(data []byte) (TokenInput, error) {
	var read struct {
		TokenInput
		Client *struct {
			Client
			Grants *[]scope.Grant `json:"grants"`
		} `json:"client"`
		Scopes    *[]scope.Scope       `json:"scopes"`
		Resources *map[string]Resource `json:"resources"`
		Request   *TokenRequest        `json:"request"`
	}
	if err := decodeInput(data, &read); err != nil {
		return TokenInput{}, err
	}
	switch {
	case read.Client == nil:
		return TokenInput{}, missing("client")
	case read.Client.Grants == nil:
		return TokenInput{}, missing("client.grants")
	case read.Scopes == nil:
		return TokenInput{}, missing("scopes")
	case read.Resources == nil:
		return TokenInput{}, missing("resources")
	case read.Request == nil:
		return TokenInput{}, missing("request")
	}
	in := read.TokenInput
	in.Client = read.Client.Client
	in.Client.Grants, in.Scopes, in.Resources, in.Request = *read.Client.Grants, *read.Scopes, *read.Resources, *read.Request
	return in, checkScopes(in.Scopes)
}

// ParseRequestInput is ParseTokenInput for a decision on a proxied request, which stands on request with
// its path, and on token with its scopes.
func ParseRequestInput(data []byte) (RequestInput, error) {
	var read struct {
		RequestInput
		Request *struct {
			ProxiedRequest
			Path *[]string `json:"path"`
		} `json:"request"`
		Token *struct {
			Token
			Scopes *[]scope.Scope `json:"scopes"`
		} `json:"token"`
	}
	if err := decodeInput(data, &read); err != nil {
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
	in.Request, in.Token = read.Request.ProxiedRequest, read.Token.Token
	in.Request.Path, in.Token.Scopes = *read.Request.Path, *read.Token.Scopes
	return in, checkScopes(in.Token.Scopes)
}

func missing(member string) error { return fmt.Errorf("reading input: %s is missing", member) }

// embedded are the names of embedded structs in the path of a field, which JSON does not have.
var embedded = regexp.MustCompile(`\b[A-Z]\w*\.`)

// decodeInput keeps numbers as they are written. Its errors do not quote the input.
func decodeInput(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	err := decoder.Decode(into)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return fmt.Errorf("reading input: %s is a %s", embedded.ReplaceAllString(wrong.Field, ""), wrong.Value)
	case err != nil:
		return fmt.Errorf("reading input: %w", err)
	case decoder.InputOffset() < int64(len(bytes.TrimRight(data, " \t\r\n"))):
		return errors.New("reading input: more than one JSON value")
	}
	return nil
}

// checkScopes finds a scope whose parts are not those of its raw form: there is no such request.
func checkScopes(scopes []scope.Scope) error {
	for i, logged := range scopes {
		if s, err := scope.Parse(logged.Raw); err != nil || s != logged {
			return fmt.Errorf("reading input: scope %d is none", i+1)
		}
	}
	return nil
}
