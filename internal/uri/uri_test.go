package uri

import (
	"slices"
	"strings"
	"testing"
)

func TestEqual(t *testing.T) {
	for _, c := range []struct{ a, b string }{
		{"https://api.example.com", "https://api.example.com/"},
		{"https://API.Example.com/", "https://api.example.com"},
		{"HTTPS://api.example.com/v1", "https://api.example.com/v1"},
		{"https://api.example.com:443", "https://api.example.com/"},
		{"https://api.example.com:/", "https://api.example.com"},
		{"http://127.0.0.1:80", "http://127.0.0.1/"},
		{"http://[::1]:80/x", "http://[::1]/x"},
		{"https://[2001:DB8::1]/", "https://[2001:db8::1]"},
		{"https://api.example.com?x=1", "https://api.example.com/?x=1"},
		{"https://api.example.com/%7euser", "https://api.example.com/~user"},
		{"https://api.example.com/a%2fb", "https://api.example.com/a%2Fb"},
		{"https://api.example.com/a/./b/../c", "https://api.example.com/a/c"},
		{"https://api.example.com/a/%2e%2e/c", "https://api.example.com/c"},
		{"https://api.example.com/a/..", "https://api.example.com/"},
		{"https://api.example.com/a/.", "https://api.example.com/a/"},
		{"https://api.example.com/../../a", "https://api.example.com/a"},
		{"API://Books", "api://books/"},
		{"URN:example:books", "urn:example:books"},
	} {
		if !Equal(c.a, c.b) || !Equal(c.b, c.a) {
			t.Errorf("%s and %s are %s and %s", c.a, c.b, normal(c.a), normal(c.b))
		}
	}
}

func TestNotEqual(t *testing.T) {
	for _, c := range []struct{ a, b string }{
		{"https://api.example.com/v1", "https://api.example.com/v1/"}, // no rule of RFC 3986 equates them
		{"https://api.example.com/v1", "https://api.example.com/V1"},
		{"https://api.example.com/", "http://api.example.com/"},
		{"https://api.example.com:80/", "https://api.example.com/"},
		{"https://api.example.com:8443/", "https://api.example.com/"},
		{"https://api.example.com./", "https://api.example.com/"},
		{"https://api.example.com/a%2Fb", "https://api.example.com/a/b"},
		{"https://api.example.com/a%252Fb", "https://api.example.com/a%2Fb"},
		{"https://api.example.com//a", "https://api.example.com/a"},
		{"https://api.example.com/?x", "https://api.example.com/"},
		{"https://api.example.com/?", "https://api.example.com/"},
		{"https://api.example.com/?X", "https://api.example.com/?x"},
		{"https://User@api.example.com/", "https://user@api.example.com/"},
		{"https://user@api.example.com/", "https://api.example.com/"},
		{"https://\u212aapi.example.com/", "https://kapi.example.com/"}, // the sign for kelvin
		{"urn:example:a", "urn:example:A"},
		{"urn:example:a/../b", "urn:example:b"},
		{"books", "Books"},
		{"", "/"},
	} {
		if Equal(c.a, c.b) {
			t.Errorf("%s and %s are both %s", c.a, c.b, normal(c.a))
		}
	}
}

func TestAmong(t *testing.T) {
	list := []string{"https://api.example.com/", "https://api.example.com/b", "https://API.example.com", "books"}
	for s, want := range map[string][]string{"https://api.example.com": {list[0], list[2]}, "books": {"books"}, "Books": nil} {
		if got := Among(list, s); !slices.Equal(got, want) || Contains(list, s) != (want != nil) {
			t.Errorf("%s: %v", s, got)
		}
	}
}

// The audiences of an issuer are all compared with what a client asks for.
func TestNormalFormsCostNoMemory(t *testing.T) {
	for _, s := range []string{"https://api.example.com/orders/v1?x=y", "urn:example:books", "books", "http://[::1]:8080/a/.b"} {
		if n := testing.AllocsPerRun(10, func() { normal(s) }); n > 0 && !strings.Contains(s, "/.") || normal(s) != s {
			t.Errorf("%s is made %s, with %v allocations", s, normal(s), n)
		}
	}
}

func TestNamesOneOf(t *testing.T) {
	wanted := []string{"https://api.example.com", "https://api.example.com/b", "books"}
	for aud, want := range map[string]bool{
		"https://api.example.com":        true,
		"https://API.example.com:443/":   true,
		"https://api.example.com/b":      true,
		"books":                          true,
		"Books":                          false,
		"https://api.example.com/c":      false,
		"https://api.example.com/b/":     false,
		"https://api.example.com/a/../b": false,
		"https://api.example.com/a/..":   false,
		"https://api.example.com/%62":    false,
		"https://api.example.com/.":      false,
		"":                               false,
	} {
		if got := NamesOneOf([]string{"https://other.example.com", aud}, wanted); got != want {
			t.Errorf("%q: %v", aud, got)
		}
	}
	if NamesOneOf(nil, wanted) || NamesOneOf(wanted, nil) {
		t.Error("an empty list names an audience")
	}
}

// FuzzNormal: the normal form of a normal form is itself, and texts with different hosts stay different.
func FuzzNormal(f *testing.F) {
	for _, s := range []string{"https://API.example.com:443/a/../%7e?x=%2f", "urn:x:y", "://", "a:", "https://u@h:/..", "x:/%%41", "HTTP://h:80:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s != normal(s) && !Equal(s, normal(s)) {
			t.Errorf("%q is not equal to its normal form %q", s, normal(s))
		}
		if Equal(s+"x", s) {
			t.Errorf("%q is equal to itself and more", s)
		}
	})
}
