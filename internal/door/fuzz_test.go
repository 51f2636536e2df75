package door

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// FuzzRequire compiles any line, and matches any path against what compiles. A scope that comes
// of it stands for the path alone: no token for other identifiers covers it.
func FuzzRequire(f *testing.F) {
	for _, seed := range []struct{ method, path, scope, request string }{
		{"GET", "/books/{id}", "book:{id}:read", "/books/1"},
		{"", "/files/{rest...}", "file:{rest}:*", "/files/a/b"},
		{"PUT", "x.example.com/a/{b}/{$}", "a:pre-{b}-post:b", "/a/b/"},
		{"GET", "/{a}/{b}", "x:{a}:{b}:read", "/*/%2A"},
		{"get", "/{", "a:{:b", "/"},
		{"GET", "/{http.request.uri.path}", "a", "//"},
		{"GET", "/{a}/{a}", "a:{a}{a}:b", "/a%20b/{a}"},
	} {
		f.Add(seed.method, seed.path, seed.scope, seed.request)
	}
	f.Fuzz(func(t *testing.T, method, path, rawScope, request string) {
		rules, err := compileRoutes([]*Requirement{{Method: method, Path: path, Scopes: []string{rawScope}}}, nil)
		if (err == nil) != (rules != nil) {
			t.Fatalf("%v, %v", rules, err)
		}
		target, urlErr := url.ParseRequestURI(request)
		if err != nil || urlErr != nil {
			return
		}
		needed, refused := needs(rules, &http.Request{Method: method, URL: target, Host: "x.example.com", Header: http.Header{}})
		if (refused == nil) != (len(needed) > 0) {
			t.Fatalf("%v, %v", needed, refused)
		}
		for _, need := range needed {
			checkNarrow(t, need, rawScope)
		}
	})
}

func checkNarrow(t *testing.T, need scope.Scope, template string) {
	t.Helper()
	parsed, err := scope.Parse(need.Raw)
	if err != nil {
		t.Fatalf("%q cannot be asked for: %v", need.Raw, err)
	}
	if parsed.Resource != need.Resource || parsed.Identifier != need.Identifier || parsed.Action != need.Action {
		t.Fatalf("%q is read as %#v, was %#v", need.Raw, parsed, need)
	}
	if strings.Contains(need.Identifier, "*") && !strings.Contains(template, "*") && strings.Count(template, ":") > 1 {
		t.Fatalf("%q of %q has a wildcard that the path gave", need.Raw, template)
	}
}

// FuzzClaimText has any claim value written as a header, which must be one line.
func FuzzClaimText(f *testing.F) {
	f.Add("a b")
	f.Add("a\r\nX-Client-Id: admin")
	f.Add("\x00\x7f\xff")
	identity, err := newIdentityHeaders(map[string]string{"X-Value": "value"}, false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, claim := range []any{value, []any{value, value}, map[string]any{value: value}} {
			request := httptest.NewRequest(http.MethodGet, "/", nil)
			identity.set(request.Header, &token.Claims{All: map[string]any{"value": claim}})
			if got := request.Header.Get("X-Value"); strings.ContainsAny(got, "\r\n\x00") {
				t.Fatalf("%q", got)
			}
		}
	})
}
