package policy

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// TestParseInputs: what encoding/json makes of an input is read as the same input.
func TestParseInputs(t *testing.T) {
	in := request(t, "book:1:read", "book:read")
	in.Client.Attributes = map[string]any{"level": json.Number("9007199254740993"), "teams": []any{"a", nil, true}}
	in.Client.Networks, in.Client.Audiences = []string{"192.0.2.0/24"}, []string{"https://api.example.com"}
	in.Client.Grants = append(in.Client.Grants, deny("book", "x-*", "*"))
	if got, err := ParseTokenInput([]byte(asJSON(t, in))); err != nil || !reflect.DeepEqual(got, in) {
		t.Errorf("got %+v, %v", got, err)
	}
	req := proxied(t)
	if got, err := ParseRequestInput([]byte(asJSON(t, req))); err != nil || !reflect.DeepEqual(got, req) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParseTokenInput(t *testing.T) {
	const whole = `{"issuer":"https://auth.example.com","client":{"id":"a","grants":[{"resource":"book","identifiers":["*"],"actions":["read"],"effect":"allow"}]},` +
		`"scopes":[{"raw":"book:1:read","resource":"book","identifier":"1","action":"read"}],"resources":{},"request":{}}`
	for name, test := range map[string]struct{ old, new, want string }{
		"as it is":                  {"", "", ""},
		"members of a later time":   {`"issuer"`, `"device": {"id": 1}, "issuer"`, ""},
		"a later member of a grant": {`"effect"`, `"until": "2030", "effect"`, ""},
		"no id":                     {`"id":"a",`, ``, ""},
		"another type":              {`"id":"a"`, `"id":7`, "client.id is a number"},
		"no client":                 {`"client":`, `"klient":`, "client is missing"},
		"no grants":                 {`"grants":`, `"krants":`, "client.grants is missing"},
		"no scopes":                 {`"scopes":`, `"skopes":`, "scopes is missing"},
		"no resources":              {`"resources":{}`, `"resources":null`, "resources is missing"},
		"no request":                {`"request":{}`, `"request":null`, "request is missing"},
		"a scope that is masked":    {`{"raw":"book:1:read","resource":"book","identifier":"1","action":"read"}`, `null`, "scope 1 is not valid"},
		"a scope of other parts":    {`"identifier":"1"`, `"identifier":"*"`, "scope 1 is not valid"},
		"an effect that is none":    {`"allow"`, `"alow"`, "effect is"},
		"a grant that is masked":    {`"grants":[`, `"grants":[null,`, "effect is"},
		"trailing text":             {`"request":{}}`, `"request":{}} 1`, "more than one JSON value"},
		"half of it":                {`"request":{}}`, `"request":`, "unexpected EOF"},
		"an array":                  {whole, `[]`, "is a array"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(whole, test.old) {
				t.Fatal("the case changes nothing")
			}
			_, err := ParseTokenInput([]byte(strings.Replace(whole, test.old, test.new, 1)))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestParseRequestInput(t *testing.T) {
	whole := asJSON(t, proxied(t))
	for name, test := range map[string]struct{ old, new, want string }{
		"as it is":               {"", "", ""},
		"another type":           {`"path":["books","1"]`, `"path":"/books/1"`, "path is a string"},
		"no request":             {`"request":`, `"rekwest":`, "request is missing"},
		"no path":                {`"path":`, `"paths":`, "request.path is missing"},
		"no token":               {`"token":`, `"tokens":`, "token is missing"},
		"no scopes":              {`"scopes":`, `"skopes":`, "token.scopes is missing"},
		"a scope of other parts": {`"raw":"book:*:edit"`, `"raw":"*"`, "scope 1 is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(whole, test.old) {
				t.Fatal("the case changes nothing")
			}
			_, err := ParseRequestInput([]byte(strings.Replace(whole, test.old, test.new, 1)))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
