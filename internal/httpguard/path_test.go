package httpguard

import (
	"net/url"
	"strings"
	"testing"
)

func TestAmbiguousPath(t *testing.T) {
	cases := map[string]bool{
		"/":                      false,
		"/books":                 false,
		"/books/":                false,
		"/books/1.2":             false,
		"/books/...":             false,
		"/.well-known/x":         false,
		"/books/a%20b":           false,
		"/books/%C3%A9":          false,
		"/books/é":               false,
		"/books/100%25":          false,
		"/books/%25zz":           false,
		"/books/a:b@c,d=e+f~!$":  false,
		"/books/%2A%3A":          false,
		"/books?x=//..%2f;":      false,
		"/books/1%2Fedit":        true,
		"/books/1%2fedit":        true,
		"/books/1%5cedit":        true,
		"/books/1%5Cedit":        true,
		`/books/1\edit`:          true,
		"//books":                true,
		"/books//1":              true,
		"/books//":               true,
		"/books/./1":             true,
		"/books/../admin":        true,
		"/books/..":              true,
		"/books/.":               true,
		"/books/%2e%2e/admin":    true,
		"/books/%2E./admin":      true,
		"/books/.%2e":            true,
		"/books;v=1":             true,
		"/books/..;/admin":       true,
		"/books%3bv=1":           true,
		"/books%3Bv=1":           true,
		"/books%00":              true,
		"/books%0a":              true,
		"/books%0d":              true,
		"/books%1f":              true,
		"/books%7f":              true,
		"/books%3f":              true,
		"/books%23":              true,
		"/books/%ff":             true,
		"/books/%c0%ae%c0%ae":    true,
		"/books/%252e%252e":      true,
		"/books/%252f":           true,
		"/books/%2541":           true,
		"*":                      true,
		"books":                  true,
		"":                       true,
		"https://a.example":      true,
		"https://a.example/":     false,
		"mailto:x":               true,
		"https://a.example/a//b": true,
	}
	for raw, want := range cases {
		u, err := url.Parse(raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
			continue
		}
		if reason := AmbiguousPath(u); (reason != "") != want {
			t.Errorf("%q: %q", raw, reason)
		}
	}
}

// What a rewrite leaves in one of the two forms of the path counts, too.
func TestAmbiguousPathLooksAtBothForms(t *testing.T) {
	for _, u := range []*url.URL{
		{Path: "/a", RawPath: "/a%2fb"},
		{Path: "/a/../b", RawPath: "/a"},
		{Path: "/a//b", RawPath: "/a%2F/b"},
		{Path: "/a", Opaque: "//x/a"},
	} {
		if AmbiguousPath(u) == "" {
			t.Errorf("%#v passes", u)
		}
	}
}

func FuzzAmbiguousPath(f *testing.F) {
	for _, seed := range []string{
		"/a%2Fb", "/a%2f%2E%2e/b", "/%2F", "/a%2Fb|", "/a%2Fé",
		"/books/1", "/books/%2e%2e/a", "/a%2fb", `/a\b`, "/a;b", "/%00", "//a", "/é%20", "/%25", "/%252f", "*", "/a/..", "/%ff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI(raw)
		if err != nil {
			return
		}
		if AmbiguousSegments(u) == "" {
			checkSegments(t, raw, u)
		}
		if AmbiguousPath(u) != "" {
			return
		}
		checkUnambiguous(t, u)
	})
}

// checkSegments reads an accepted path with encoded slashes: it goes on as it came, and has no dot segment for a program that
// splits first, nor for one that decodes first.
func checkSegments(t *testing.T, raw string, u *url.URL) {
	if path, _, _ := strings.Cut(raw, "?"); strings.HasPrefix(raw, "/") && HasEncodedSlash(u) && u.EscapedPath() != path {
		t.Fatalf("%q goes on as %q", path, u.EscapedPath())
	}
	decoded, err := url.PathUnescape(u.EscapedPath())
	if err != nil || decoded != u.Path {
		t.Fatalf("%q decodes to %q, %v", u.EscapedPath(), decoded, err)
	}
	for segment := range strings.SplitSeq(decoded, "/") {
		if segment == "." || segment == ".." {
			t.Fatalf("%q has a dot segment", raw)
		}
	}
	if strings.Contains(u.EscapedPath(), "//") || strings.ContainsAny(decoded, "\\;?#\x00\r\n") {
		t.Fatalf("%q is accepted", raw)
	}
	if twice, err := url.PathUnescape(decoded); err == nil && twice != decoded {
		t.Fatalf("%q decodes twice", raw)
	}
}

// checkUnambiguous reads an accepted path as several other parsers would: they must agree.
func checkUnambiguous(t *testing.T, u *url.URL) {
	ours := strings.Split(u.Path, "/")
	raw := strings.Split(u.EscapedPath(), "/") // split first, then decode
	if len(ours) != len(raw) {
		t.Fatalf("%q splits in two ways", u.EscapedPath())
	}
	for i, segment := range raw {
		decoded, err := url.PathUnescape(segment)
		if err != nil || decoded != ours[i] {
			t.Fatalf("segment %q is %q and %q", segment, ours[i], decoded)
		}
	}
	if twice, err := url.PathUnescape(u.Path); err == nil && twice != u.Path {
		t.Fatalf("%q decodes twice", u.EscapedPath())
	}
	if again, err := url.Parse(strings.ReplaceAll(u.Path, "%", "%25")); err != nil || again.Path != u.Path || again.RawQuery != "" {
		t.Fatalf("%q, parsed again: %v, %v", u.Path, again, err)
	}
	if resolved := u.JoinPath(); resolved.Path != u.Path {
		t.Fatalf("%q cleans to %q", u.Path, resolved.Path)
	}
	if strings.ContainsAny(u.Path, "\\;\x00\r\n") {
		t.Fatalf("%q is accepted", u.Path)
	}
}
