package door

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

func compile(t *testing.T, requirements ...*Requirement) *Routes {
	t.Helper()
	compiled, err := compileRoutes(requirements, nil)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// TestWebSocketsOverNewerHTTP: reverse_proxy sends an extended CONNECT on as GET, so it is what
// GET is here, over HTTP/2 and HTTP/3.
func TestWebSocketsOverNewerHTTP(t *testing.T) {
	rules := compile(t,
		&Requirement{Method: "GET", Path: "/admin/{rest...}", Scopes: []string{"admin:*:use"}},
		&Requirement{Path: "/{rest...}", Scopes: []string{"book:*:read"}})
	for name, r := range map[string]*http.Request{
		"HTTP/2": {Method: "CONNECT", ProtoMajor: 2, Header: http.Header{":protocol": {"websocket"}}},
		"HTTP/3": {Method: "CONNECT", ProtoMajor: 3, Proto: "websocket", Header: http.Header{}},
	} {
		r.URL = &url.URL{Path: "/admin/ws"}
		needed, refused := needs(rules, r)
		if refused != nil || scopeList(needed) != "admin:*:use" || r.Method != "CONNECT" {
			t.Errorf("%s: %v, %v", name, needed, refused)
		}
	}
}

// TestParametersDoNotRunTogether: a part of one value must not pass for a part of another.
func TestParametersDoNotRunTogether(t *testing.T) {
	rules := compile(t,
		&Requirement{Path: "/t/{tenant}/d/{doc}", Scopes: []string{"doc:{tenant}:{doc}:read"}},
		&Requirement{Path: "/x/{a}/{b}/{c}", Scopes: []string{"x:{a}--{b}:{c}:read"}})
	for path, want := range map[string]string{
		"/t/acme/d/1":      "doc:acme:1:read",
		"/t/acme:evil/d/1": "doc:acme%3Aevil:1:read",
		"/t/acme/d/evil:1": "doc:acme:evil:1:read",
		"/x/1-2/3:4/5:6-7": "x:1%2D2--3%3A4:5:6-7:read",
	} {
		needed, refused := needs(rules, &http.Request{Method: "GET", URL: &url.URL{Path: path}})
		if refused != nil || scopeList(needed) != want {
			t.Errorf("%s needs %v, want %s", path, needed, want)
		}
	}
}

func TestRequirementsThatAreErrors(t *testing.T) {
	for want, r := range map[string]*Requirement{
		"nothing stands between {a} and {b}":  {Path: "/{a}/{b}", Scopes: []string{"x:{a}{b}:read"}},
		"begins with a letter or digit":       {Path: "/{a}/{b}", Scopes: []string{"x:{a}and{b}:read"}},
		"a value may contain a %":             {Path: "/{a}/{b}", Scopes: []string{"x:{a}%20{b}:read"}},
		"may contain a %, because":            {Path: "/{a}/{b}", Scopes: []string{"x:{a}-%2D{b}:read"}},
		"the host is in lower case":           {Path: "API.example.com/", Scopes: []string{"x"}},
		"the host is in lower case, without ": {Path: "api.example.com:8443/", Scopes: []string{"x"}},
		"without regard to case":              {Path: "/ADMIN/{x}", Scopes: []string{"x"}},
		"without regard to case,":             {Path: "/%41dmin/{x}", Scopes: []string{"x"}},
		"a * in the path is not a wildcard":   {Path: "/books/*", Scopes: []string{"x"}},
		"can match the method CONNECT":        {Method: "CONNECT", Path: "/x", Scopes: []string{"x"}},
		"an encoded slash":                    {Path: "/a%2fb/{x}", Scopes: []string{"x"}},
		"an encoded question mark":            {Path: "/a?b=1", Scopes: []string{"x"}},
		"a semicolon":                         {Path: "/{x}/a%3Bb", Scopes: []string{"x"}},
		"a dot segment":                       {Path: "api.example.com/%2e%2e/{$}", Scopes: []string{"x"}},
		"not UTF-8":                           {Path: "/a%ff/", Scopes: []string{"x"}},
		"percent-encoded twice":               {Path: "/a%252e", Scopes: []string{"x"}},
	} {
		_, err := compileRoutes([]*Requirement{{Path: "/admin/{y}", Scopes: []string{"y"}}, r}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", r, err, want)
		}
	}
}

// TestPatternsOfOtherRouters: a pattern in the notation of another router is refused with the right one. ServeMux would match
// most of them with the characters as they are.
func TestPatternsOfOtherRouters(t *testing.T) {
	for pattern, want := range map[string]string{
		"/books/*":                `write /books/{id} for one segment, /books/{rest...} for all below, and %2A`,
		"/books/**":               "/books/{rest...} for all below",
		"/*":                      "write /{id} for one segment, /{rest...} for all below",
		"api.example.com/books/*": "write /books/{id} for one segment",
		"/books/{rest*}":          "/books/{rest...} for all below",
		"/books/{*rest}":          "/books/{rest...} for all below",
		"/books/*/pages":          "one segment is {id}",
		"/books*":                 "one segment is {id}",
		"*.example.com/books":     "without a host, as in /books",
		"https://a.example/books": "a pattern has no scheme",
		"/books/:id":              ":id is not a parameter; write {id}",
		"/books/:id/pages":        "write {id}, and %3A",
		"/books/<id>":             "a parameter is {id}",
		"/books/<int:id>":         "a parameter is {id}",
		"/books/[id]":             "a parameter is {id}",
		"/books/[0-9]+":           "not a regular expression",
		"/books/(a|b)":            "not a regular expression",
		"/^books$":                "not a regular expression",
		"/books/{id:[0-9]+}":      "not a regular expression",
		"/books/{id:int}":         "a name of letters, digits and _",
		"/books/{id?}":            "a name of letters, digits and _",
		"/books/{book-id}":        "a name of letters, digits and _",
		"/books/{id}.json":        "a whole segment",
	} {
		_, err := compileRoutes([]*Requirement{{Path: pattern, Scopes: []string{"x"}}}, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", pattern, err, want)
		}
	}
	for _, pattern := range []string{"/v1/books:batchGet", "/%3Aid", "/$metadata", "/Books(1)", "/{$}", "/{größe}", "/{_id2}/{rest...}", "/a,b+c=d&e'f!@~", "/bücher", "/%5B1%5D", "/%2A"} {
		compile(t, &Requirement{Path: pattern, Scopes: []string{"x"}})
	}
}

// TestHostsThatNoRequestHas: a request with such a host is refused before its rule is looked for.
func TestHostsThatNoRequestHas(t *testing.T) {
	for _, host := range []string{
		"bücher.example", "admin.local.", "admin..local", "admin,x", "*.example.com", "0x7f.1", "127.1", "[admin.local]", "[0:0:0:0:0:0:0:1]", "[::1%25lo]", "::1", "admin.local:", "xn--admin-.local", "user@admin.local",
	} {
		if _, err := compileRoutes([]*Requirement{{Path: host + "/x", Scopes: []string{"x"}}}, nil); err == nil {
			t.Errorf("%q is taken", host)
		}
	}
	for _, host := range []string{"xn--bcher-kva.example", "[::1]", "127.0.0.1", "localhost", "my_service"} {
		compile(t, &Requirement{Path: host + "/x", Scopes: []string{"x"}})
	}
}

// needs is what the rule for a request needs.
func needs(rules *Routes, r *http.Request) ([]scope.Scope, *Refusal) {
	found, refused := rules.match(r)
	if refused != nil {
		return nil, refused
	}
	return found.required, nil
}

// FuzzScopeTemplate fills any template that compiles with two pairs of values. The same scope means
// the same values: a token for one object never opens another one.
func FuzzScopeTemplate(f *testing.F) {
	for _, template := range []string{"x:{a}:{b}:read", "x:{a}%20{b}:read", "x:{a}-%2D{b}:read", "x:-{b}~{a}-:read", "x:{a}/{b}*:read", "x:{a}.{a}:read"} {
		f.Add(template, "p q", "r", "p", "q r")
		f.Add(template, "p", "~r", "p%20", "r:")
		f.Add(template, "P-", "r", "P", "-r")
		f.Add(template, "k", "-", "\u212a", "-")
	}
	f.Fuzz(func(t *testing.T, raw, a1, b1, a2, b2 string) {
		template, err := parseScopeTemplate(raw, &Requirement{Path: "/{a}/{b}"})
		if err != nil {
			return
		}
		one, ok1 := template.fill(pathValues{{"a", a1}, {"b", b1}})
		two, ok2 := template.fill(pathValues{{"a", a2}, {"b", b2}})
		if !ok1 || !ok2 || one.Raw != two.Raw {
			return
		}
		if hasTemplateParameter(template, "a") && a1 != a2 || hasTemplateParameter(template, "b") && b1 != b2 {
			t.Fatalf("%q: %q, %q and %q, %q all need %q", raw, a1, b1, a2, b2, one.Raw)
		}
	})
}

func hasTemplateParameter(t scopeTemplate, name string) bool {
	return slices.ContainsFunc(t.parts, func(part templatePart) bool { return part.parameter == name })
}

func TestRequirementsThatHaveEscapes(t *testing.T) {
	for _, path := range []string{"/", "/{$}", "/docs/{$}", "/docs/", "[2001:db8::1]/x", "/{x}/y", "/%2A/{rest...}", "/100%/x", "/%7Bid%7D", "/a%20b", "/%C3%9C/{x}"} {
		c, err := compileRoutes([]*Requirement{{Path: path, Scopes: []string{"x"}}}, nil)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		target := strings.NewReplacer("{$}", "", "{x}", "x", "{rest...}", "a/b", "100%", "100%25").Replace(path)
		if strings.HasPrefix(target, "/") {
			target = "other" + target
		}
		r := httptest.NewRequest("GET", "http://"+target, nil)
		if _, refused := c.match(r); refused != nil {
			t.Errorf("%s: a request for %s: %s", path, target, refused.Description)
		}
	}
}

// TestSlashAtTheEnd: many upstreams serve /a/b/ like /a/b, so a wider rule for one of them does not open the other.
func TestSlashAtTheEnd(t *testing.T) {
	read := []string{"x:*:read"}
	rules, err := compileRoutes([]*Requirement{
		{Path: "/a/b", Scopes: read}, {Path: "/Assets/private", Scopes: read}, {Path: "/docs/", Scopes: read},
		{Path: "/team/{$}", Scopes: read}, {Path: "/files/{rest...}", Scopes: read}, {Path: "/c/{y}/{$}", Scopes: read}, {Method: "GET", Path: "/twin", Scopes: read},
		{Path: "/n/{x}/{$}", Scopes: read}, {Path: "/b/{y}/{rest...}", Scopes: read},
	}, []*PublicRoute{
		{Path: "/{x}"}, {Path: "/a/{x}/"}, {Path: "/Assets/{kind}/{rest...}"}, {Path: "/c/{x}"}, {Path: "/twin/{rest...}"}, {Path: "/n/health"}, {Path: "/b/{x}/c"}, {Path: "/b/d"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/x": "public", "/a/c/": "public", "/Assets/css/": "public", "/Assets/css/x": "public", "/c/1": "public", "/twin/": "public", "/n/health": "public", "/b/1/c": "public", "/b/d": "public",
		"/a/b": "x:*:read", "/docs/": "x:*:read", "/docs/x": "x:*:read", "/files/": "x:*:read", "/c/1/": "x:*:read", "/twin": "x:*:read", "/n/x/": "x:*:read", "/n/x": "403", "/b/1/": "x:*:read",
		"/a/b/": "400", "/Assets/private/": "400", "/docs": "400", "/team": "400", "/files": "400", "/%64ocs": "400", "/n/health/": "400", "/b/1/c/": "400", "/b/d/": "400",
	} {
		got := ""
		switch m, refused := rules.match(get(t, path)); {
		case refused != nil:
			got = strconv.Itoa(refused.Status)
		case m.needsNoToken():
			got = "public"
		default:
			got = scopeList(m.required)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
