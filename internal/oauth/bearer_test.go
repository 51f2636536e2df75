package oauth

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAccessToken(t *testing.T) {
	const missing, malformed = 401, 400
	cases := map[string]struct {
		headers []string
		query   string
		token   string
		status  int
		scheme  string
	}{
		"token":             {[]string{"Bearer abc.DEF-_~+/09=="}, "", "abc.DEF-_~+/09==", 0, ""},
		"scheme case":       {[]string{"bEARER x"}, "a=b", "x", 0, ""},
		"spaces":            {[]string{"Bearer   x"}, "", "x", 0, ""},
		"DPoP":              {[]string{"DPoP x"}, "", "x", 0, "DPoP"},
		"DPoP in capitals":  {[]string{"DPOP x"}, "", "x", 0, "DPoP"},
		"DPoP and bearer":   {[]string{"DPoP x", "Bearer x"}, "", "", malformed, ""},
		"DPoP, no token":    {[]string{"DPoP "}, "", "", malformed, ""},
		"DPoP, also in URL": {[]string{"DPoP x"}, "access_token=x", "", malformed, ""},
		"none":              {nil, "", "", missing, ""},
		"query only":        {nil, "access_token=x", "", missing, ""},
		"basic":             {[]string{"Basic YTpi"}, "", "", missing, ""},
		"glued":             {[]string{"Bearerx"}, "", "", missing, ""},
		"empty header":      {[]string{""}, "", "", missing, ""},
		"two":               {[]string{"Bearer x", "Bearer x"}, "", "", malformed, ""},
		"basic and bearer":  {[]string{"Basic YTpi", "Bearer x"}, "", "", malformed, ""},
		"two in one":        {[]string{"Bearer x, Bearer y"}, "", "", malformed, ""},
		"no token":          {[]string{"Bearer"}, "", "", malformed, ""},
		"spaces only":       {[]string{"Bearer  "}, "", "", malformed, ""},
		"padding only":      {[]string{"Bearer =="}, "", "", malformed, ""},
		"padding inside":    {[]string{"Bearer a=b"}, "", "", malformed, ""},
		"two tokens":        {[]string{"Bearer a b"}, "", "", malformed, ""},
		"tab":               {[]string{"Bearer a\tb"}, "", "", malformed, ""},
		"quotes":            {[]string{`Bearer "a"`}, "", "", malformed, ""},
		"beyond ASCII":      {[]string{"Bearer é"}, "", "", malformed, ""},
		"also in the query": {[]string{"Bearer x"}, "a=b&access_token=x", "", malformed, ""},
		"query encoded":     {[]string{"Bearer x"}, "access%5Ftoken=x", "", malformed, ""},
		"query empty":       {[]string{"Bearer x"}, "access_token", "", malformed, ""},
		"query semicolon":   {[]string{"Bearer x"}, "a=%zz;access_token=y", "", malformed, ""},
		"query other":       {[]string{"Bearer x"}, "x=access_token&%zz=1&access_tokens=1", "x", 0, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/books", nil)
			r.URL.RawQuery = c.query
			if c.headers != nil {
				r.Header["Authorization"] = c.headers
			}
			token, scheme, refused := AccessToken(r)
			if want := cmp.Or(c.scheme, SchemeBearer); c.status == 0 && scheme != want || c.status != 0 && scheme != "" {
				t.Errorf("scheme %q", scheme)
			}
			if token != c.token || (refused != nil) != (c.status != 0) {
				t.Fatalf("got %q, %v", token, refused)
			}
			if refused != nil && (refused.Status != c.status || (refused.Code == "") != (c.status == missing)) {
				t.Errorf("got %+v", refused)
			}
		})
	}
}

func TestChallenge(t *testing.T) {
	const metadata = "https://api.example.com/.well-known/oauth-protected-resource"
	r, _ := http.NewRequest(http.MethodGet, "/", nil)
	_, _, missing := AccessToken(r)
	located := *missing
	located.ResourceMetadata = metadata
	cases := map[string]struct {
		challenge    Challenge
		header, body string
	}{
		"missing": {*missing, `Bearer realm="protected resource"`,
			`{"error":"unauthorized","error_description":"a Bearer access token is required in the Authorization header","reason":"missing_token"}`},
		"missing, located": {located, `Bearer resource_metadata="` + metadata + `"`,
			`{"error":"unauthorized","error_description":"a Bearer access token is required in the Authorization header","reason":"missing_token"}`},
		"insufficient": {
			Challenge{403, CodeInsufficientScope, "not covered", "book:1:edit book:*:read", metadata, "", "D1", nil, nil},
			`Bearer error="insufficient_scope", error_description="not covered", scope="book:1:edit book:*:read", resource_metadata="` + metadata + `"`,
			`{"error":"insufficient_scope","error_description":"not covered","scope":"book:1:edit book:*:read","decision_id":"D1"}`},
		"hostile": {
			Challenge{401, CodeInvalidToken, "a\"\r\nSet-Cookie: b\\é", "x\"y", "https://a\"\\\r\né", "expired", "", nil, nil},
			`Bearer error="invalid_token", error_description="a'  Set-Cookie: b/?", scope="x'y", resource_metadata="https://a\"\\???"`,
			`{"error":"invalid_token","error_description":"a'  Set-Cookie: b/?","reason":"expired","scope":"x'y"}`},
		"DPoP": {Challenge{Status: 401, Code: CodeInvalidToken, Schemes: []string{SchemeDPoP}, ProofAlgs: []string{"ES256", "EdDSA"}},
			`DPoP error="invalid_token", algs="ES256 EdDSA"`, `{"error":"invalid_token"}`},
		"both schemes": {Challenge{Status: 401, Schemes: []string{SchemeBearer, SchemeDPoP}, ProofAlgs: []string{"ES256"}},
			`Bearer realm="protected resource", DPoP algs="ES256"`, `{"error":"unauthorized"}`},
		"both schemes, located": {Challenge{Status: 401, ResourceMetadata: metadata, Schemes: []string{SchemeBearer, SchemeDPoP}, ProofAlgs: []string{"ES256"}},
			`Bearer resource_metadata="` + metadata + `", DPoP resource_metadata="` + metadata + `", algs="ES256"`, `{"error":"unauthorized"}`},
		"unavailable": {Challenge{Status: 503, Code: CodeTemporarilyUnavailable, Description: "no keys", ResourceMetadata: metadata}, "",
			`{"error":"temporarily_unavailable","error_description":"no keys"}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.challenge.Header(); got != c.header {
				t.Errorf("header:\n%s, want\n%s", got, c.header)
			}
			if got := strings.TrimSpace(string(c.challenge.Body())); got != c.body || !json.Valid([]byte(got)) {
				t.Errorf("body:\n%s, want\n%s", got, c.body)
			}
		})
	}
}

// A scope that is cut short is another scope.
func TestChallengeKeepsLongScopes(t *testing.T) {
	scope := strings.Repeat("book:1:read ", 100) + "book:2:read"
	c := Challenge{Status: 403, Code: CodeInsufficientScope, Scope: scope}
	if !strings.Contains(c.Header(), scope) || !strings.Contains(string(c.Body()), scope) {
		t.Error("scope is cut short")
	}
}
