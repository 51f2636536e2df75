package lint

import "testing"

// TestOverlap: a pattern of a Caddy matcher and one of net/http.ServeMux, and whether a path can match both.
func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		caddy, mux string
		want       bool
	}{
		{"/books", "/books", true},
		{"/Books", "/books", true},
		{"/books", "/films", false},
		{"/books", "/books/{id}", false},
		{"/books/1", "/books/{id}", true},
		{"/books/", "/books/{id}", false},
		{"/books/1/x", "/books/{id}", false},
		{"/books/1/x", "/books/{rest...}", true},
		{"/books/1", "/books/", true},
		{"/books", "/books/", false},
		{"/books/", "/books/{$}", true},
		{"/books/1", "/books/{$}", false},
		{"/healthz", "/", true},
		{"/healthz", "/{$}", false},
		{"/books*", "/books", true},
		{"/books/*", "/books", false},
		{"/books/*", "/books/{id}", true},
		{"/books/*", "/books/{id}/copy", true},
		{"/books/*", "/{kind}", false},
		{"/books/*", "/{kind}/{id}", true},
		{"/bo*", "/{kind}", true},
		{"/bo*", "/films", false},
		{"/public/*", "/books/{id}", false},
		{"/books/x/*", "/books/{id}", false},
		{"/books/x/*", "/books/{rest...}", true},
		{"/books/*", "/books/{$}", true},
		{"/books/a*", "/books/{$}", false},
		{"/*", "/", true},
		{"*", "/books", true},
		{"*.json", "/books", false},
		{"*.json", "/books.json", true},
		{"*.json", "/books/{id}", true},
		{"*books*", "/all/books/x", true},
		{"*films*", "/all/books/x", false},
		{"/b?oks", "/books", true},
		{"/b?oks", "/boks", false},
		{"/a/*/c", "/a/b/c", true},
		{"/a/*/c", "/a/{x}/d", true}, // not certain
		{"{vars.path}", "/books", true},
		{"/a%2fb", "/a/b", true},
		{"/a/b", "/a%2Db", true},
	} {
		if got := overlap(c.caddy, c.mux); got != c.want {
			t.Errorf("overlap(%q, %q) = %t", c.caddy, c.mux, got)
		}
	}
}

// TestCovers: what is before a handler takes its requests only if it certainly matches all of them.
func TestCovers(t *testing.T) {
	paths := func(paths ...string) []Matcher { return []Matcher{{Paths: paths}} }
	for name, c := range map[string]struct {
		outer, inner []Matcher
		want         bool
	}{
		"everything":           {nil, paths("/a"), true},
		"a star":               {paths("*"), nil, true},
		"a path and the rest":  {paths("/a"), nil, false},
		"the same":             {paths("/a/*"), paths("/a/*"), true},
		"a prefix":             {paths("/a*"), paths("/a/b", "/ac*"), true},
		"one of two":           {paths("/a*"), paths("/a/b", "/b"), false},
		"a suffix":             {paths("/a*"), paths("*.json"), false},
		"a glob":               {paths("/a/*/c*"), paths("/a/b/c"), false},
		"a placeholder":        {paths("/a*"), paths("/a{http.vars.x}"), false},
		"a host":               {[]Matcher{{Hosts: []string{"a"}}}, []Matcher{{Hosts: []string{"a"}, Paths: []string{"/x"}}}, true},
		"another host":         {[]Matcher{{Hosts: []string{"a"}}}, []Matcher{{Hosts: []string{"b"}}}, false},
		"a method":             {[]Matcher{{Other: "GET"}}, paths("/a"), false},
		"the same method":      {[]Matcher{{Other: "GET"}}, []Matcher{{Other: "GET", Paths: []string{"/a"}}}, true},
		"one of two sets":      {[]Matcher{{Paths: []string{"/a"}}, {Paths: []string{"/b"}}}, paths("/b"), true},
		"two sets in one each": {[]Matcher{{Paths: []string{"/a"}}, {Paths: []string{"/b"}}}, paths("/a", "/b"), false}, // not certain
	} {
		if got := covers(c.outer, c.inner); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
