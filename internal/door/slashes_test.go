package door

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
)

func get(t testing.TB, target string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Request{Method: http.MethodGet, URL: u, Host: "x.example.com", Header: http.Header{}}
}

// TestEncodedSlashIsACharacterOfItsSegment has a table of paths and the scope that each needs, "" if none is enough.
func TestEncodedSlashIsACharacterOfItsSegment(t *testing.T) {
	rules := compile(t,
		&Requirement{Path: "/projects/{id}", Scopes: []string{"project:{id}:read"}, EncodedSlash: true},
		&Requirement{Path: "/projects/{id}/{rest...}", Scopes: []string{"project:{id}/{rest}:use"}, EncodedSlash: true},
		&Requirement{Path: "/queues/%2F/{q}", Scopes: []string{"queue:default:{q}:read"}, EncodedSlash: true},
		&Requirement{Path: "/queues/{vhost}/{q}", Scopes: []string{"queue:{vhost}:{q}:read"}, EncodedSlash: true},
		&Requirement{Path: "/{package}", Scopes: []string{"package:{package}:install"}, EncodedSlash: true},
		&Requirement{Path: "/admin/{x}", Scopes: []string{"admin:{x}:use"}},
		&Requirement{Path: "/docs/", Scopes: []string{"doc:*:read"}},
		&Requirement{Path: "/report", Scopes: []string{"report:*:read"}},
		&Requirement{Path: "/Vault/{$}", Scopes: []string{"vault:*:read"}})
	d := &Door{Config: Config{Host: noHost{}}, routes: rules}
	for target, want := range map[string]string{
		"/projects/7":            "project:7:read",
		"/projects/group%2Fproj": "project:group%2Fproj:read",
		"/projects/group%2fproj": "project:group%2Fproj:read",
		"/projects/a%2Fb%2Fc":    "project:a%2Fb%2Fc:read",
		"/projects/a%2F":         "project:a%2F:read",
		"/projects/%2F":          "project:%2F:read",
		"/projects/a%2Fb%20*":    "project:a%2Fb%20%2A:read",
		"/projects/a%2Fb/c":      "project:a%2Fb/c:use",
		"/projects/a/b/c":        "project:a/b/c:use",
		"/projects/a/b%2Fc":      "project:a/b%2Fc:use",
		"/projects/a/b%2Fc/d":    "project:a/b%2Fc/d:use",
		"/queues/%2F/orders":     "queue:default:orders:read",
		"/queues/%2f/orders":     "queue:default:orders:read",
		"/queues/%2Ftest/orders": "queue:%2Ftest:orders:read",
		"/queues/a:%2F/orders":   "queue:a%3A%2F:orders:read",
		"/@scope%2Fname":         "package:@scope%2Fname:install",
		"/name":                  "package:name:install",
		"/@scope/name":           "", // no rule
		"/admin%2Fusers":         "", // what a program that decodes first reads is another rule's
		"/ADMIN%2Fusers":         "",
		"/admin%2F%2Fusers":      "",
		"/%2Fadmin%2Fusers":      "",
		"/docs%2Fx":              "",
		"/docs%2F":               "",
		"/%2Fdocs":               "package:%2Fdocs:install", // and /docs is of the same rule
		"/vault%2F":              "",
		"/report%2F":             "", // and merges or drops what it takes for the last slash
		"/%2FReport%2F%2f":       "",
		"/admin/a%2Fb":           "", // that rule does not take it
		"/projects%2F7":          "package:projects%2F7:install",
		"/projects%2Fa%2Fb":      "package:projects%2Fa%2Fb:install",
	} {
		needed, _ := needs(rules, get(t, target))
		if d.ambiguousPath(get(t, target)) != "" {
			needed = nil
		}
		if got := scopeList(needed); got != want {
			t.Errorf("%s needs %q, want %q", target, got, want)
		}
	}
}

// noHost is a host that has not changed any request.
type noHost struct{ Host }

func (noHost) Received(*http.Request) (string, *url.URL) { return "", nil }

func (noHost) TrustedProxy(*http.Request) bool { return false }

// TestEncodedSlashHidesNoOtherAmbiguity: what a program reads that decodes first must not be dangerous in other ways.
func TestEncodedSlashHidesNoOtherAmbiguity(t *testing.T) {
	d := &Door{Config: Config{Host: noHost{}}, routes: compile(t, &Requirement{Path: "/{rest...}", Scopes: []string{"x:{rest}:read"}, EncodedSlash: true})}
	for _, target := range []string{
		"/a%2F..", "/a%2F..%2Fb", "/..%2Fa", "/a%2F.", "/.%2Fa", "/a%2F%2e%2e%2Fb", "/a/..%2F..%2Fb", "/a%2F../b", "/a%2Fb/..", "/a%2Fb//c", "//a%2Fb",
		"/a%2F;b", "/a;%2Fb", "/a%2F..;%2Fb", "/a%2F%5Cb", "/a%2F%00", "/a%2F%3Fb", "/a%2F%23b", "/a%2Fb%ff", "/a%252Fb", "/a%2F%252e", "/a%25%32%46b", "/a%2Fb|c", "/a%2F{b}",
	} {
		if d.ambiguousPath(get(t, target)) == "" {
			t.Errorf("%s passes", target)
		}
	}
	for _, target := range []string{"/a%2Fb", "/%2F", "/a%2F%2Fb/c", "/a%2F...", "/a%2F.b", "/a%2Fb%20c!'()*", "/a%2F%7Cb"} {
		if why := d.ambiguousPath(get(t, target)); why != "" {
			t.Errorf("%s: %s", target, why)
		}
	}
	for _, u := range []*url.URL{
		{Path: "/a/b", RawPath: "%2Fa/b"}, {Path: "/a/b", RawPath: "/x%2Fb"}, {Path: "/a/b", RawPath: "/a%2Fb|"}, {Path: "a/b", RawPath: "a%2Fb"},
	} {
		if d.ambiguousPath(&http.Request{Method: "GET", URL: u}) == "" {
			t.Errorf("%#v passes", u)
		}
	}
}

// TestEncodedSlashInAChangedPath: a path whose encoded slashes Caddy may have decoded or made is refused.
func TestEncodedSlashInAChangedPath(t *testing.T) {
	for received, now := range map[string]string{
		"/api/a%2Fb": "/a%2Fb", "/a%2Fb": "/files/a%2Fb",
	} {
		if !movedOnly(get(t, received).URL, get(t, now).URL) {
			t.Errorf("%s to %s is refused", received, now)
		}
	}
	for received, now := range map[string]string{
		"/api%2Fa%2Fb": "/a%2Fb", "/a/b": "/a%2Fb", "/a%2fb": "/a%2Fb", "/x/a%2Fb": "/y/a%2Fb", "/x%2Fy/a%2Fb": "/a%2Fb", "/a%2Fb": "/x%2Fy/a%2Fb", "/a%2Fb/c": "/a%2Fb",
	} {
		if movedOnly(get(t, received).URL, get(t, now).URL) {
			t.Errorf("%s to %s passes", received, now)
		}
	}
}

func TestErrorsOfEncodedSlashes(t *testing.T) {
	for want, r := range map[string]*Requirement{
		"an encoded slash in the path; encoded_slash takes it": {Path: "/queues/%2F/{q}", Scopes: []string{"x"}},
		"whose own slashes would look like encoded ones":       {Path: "/{b}/{a...}", Scopes: []string{"x:{a}/{b}:read"}, EncodedSlash: true},
		"a dot segment in the path":                            {Path: "/a%2F../b", Scopes: []string{"x"}, EncodedSlash: true},
		"a semicolon in the path":                              {Path: "/a%2F;b", Scopes: []string{"x"}, EncodedSlash: true},
		`conflicts with pattern "/a%2Fb/{x}"`:                  {Path: "/{x}/a%2Fb", Scopes: []string{"x"}, EncodedSlash: true},
	} {
		_, err := compileRoutes([]*Requirement{{Path: "/a%2Fb/{x}", Scopes: []string{"x"}, EncodedSlash: true}, r}, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "%01") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// FuzzEncodedSlash has two paths judged by any rule that takes encoded slashes. If they need the same scope, every segment
// that stands in the scope is the same: a token for one object never opens another one.
func FuzzEncodedSlash(f *testing.F) {
	for _, seed := range [][2]string{{"/{a}/{b}", "x:{a}/{b}:read"}, {"/{a}/{b...}", "x:{a}:{b}:read"}, {"/{a}/x%2Fy/{b}", "x:{b}~{a}:read"}, {"/{a}/{b...}", "x:{b}-{a}:read"}} {
		f.Add(seed[0], seed[1], "/p%2Fq/r", "/p/q%2Fr")
		f.Add(seed[0], seed[1], "/p%2fq/r/s", "/p%2Fq%2Fr/s")
		f.Add(seed[0], seed[1], "/%2F/x", "/%2F%2F/x")
		f.Add(seed[0], seed[1], "/p/x%2Fy/%2F", "/p%252Fq/r")
	}
	f.Fuzz(func(t *testing.T, pattern, template, one, two string) {
		rules, err := compileRoutes([]*Requirement{{Path: pattern, Scopes: []string{template}, EncodedSlash: true}}, nil)
		if err != nil {
			return
		}
		first, ok1 := judgeSlashes(t, rules, one)
		second, ok2 := judgeSlashes(t, rules, two)
		if !ok1 || !ok2 || scopeList(first.required) != scopeList(second.required) {
			return
		}
		for _, part := range first.route.scopes[0].parts {
			if name := part.parameter; name != "" && first.parameters.get(name) != second.parameters.get(name) {
				t.Fatalf("%s %s: %q and %q both need %s", pattern, template, one, two, scopeList(first.required))
			}
		}
	})
}

// judgeSlashes judges a path, if the door takes it, and compares its parts with those that a simple upstream reads.
func judgeSlashes(t *testing.T, rules *Routes, target string) (match, bool) {
	u, err := url.ParseRequestURI(target)
	if err != nil || httpguard.AmbiguousSegments(u) != "" {
		return match{}, false
	}
	m, refused := rules.match(&http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}})
	if refused != nil {
		return match{}, false
	}
	var read []string
	for segment := range strings.SplitSeq(strings.TrimPrefix(u.EscapedPath(), "/"), "/") {
		decoded, _ := url.PathUnescape(segment)
		read = append(read, decoded)
	}
	if judged := segments(u); strings.Join(judged, "\x00") != strings.Join(read, "\x00") {
		t.Fatalf("%q: the policy sees %q, the upstream reads %q", target, judged, read)
	}
	return m, true
}
