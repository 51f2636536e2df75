package registry

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPatternsMatchSubjects(t *testing.T) {
	for pattern, c := range map[string]struct{ yes, no []string }{
		"repo:example/books:*": {
			yes: []string{"repo:example/books:ref:refs/heads/main", "repo:example/books:environment:production"},
			no: []string{"repo:example/books", "repo:example/books:", "repo:example/books-evil:ref:x", "repo:example/other:ref:x",
				"Repo:example/books:x", "x:repo:example/books:x", ""},
		},
		"repo:example/*:environment:production": {
			yes: []string{"repo:example/a:environment:production"},
			no: []string{"repo:example/:environment:production", "repo:example/a/b:environment:production", "repo:example/a:environment:production:x",
				"repo:example/a:ref:x:environment:production", "repo:example/a:environment:production2"},
		},
		"system:serviceaccount:*:api": {
			yes: []string{"system:serviceaccount:books:api"},
			no:  []string{"system:serviceaccount::api", "system:serviceaccount:a:b:api", "system:serviceaccount:books:api2"},
		},
		"spiffe://example.org/*/api/*": {
			yes: []string{"spiffe://example.org/books/api/1", "spiffe://example.org/books/api/1/2"},
			no:  []string{"spiffe://example.org/books/api", "spiffe://example.org/books/api/", "spiffe://example.org/a/b/api/1"},
		},
	} {
		if err := checkPattern(pattern); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
		for _, subject := range c.yes {
			if !matches(pattern, subject) {
				t.Errorf("%s does not match %s", pattern, subject)
			}
		}
		for _, subject := range c.no {
			if matches(pattern, subject) {
				t.Errorf("%s matches %s", pattern, subject)
			}
		}
	}
}

func TestPatternsThatAreTooWide(t *testing.T) {
	for _, pattern := range []string{"*", "repo:*", "*:books", "repo:*/books", "spiffe://*", "spiffe://*/books", "repo::*", "repo:example/b*",
		"repo:example/*s", "repo:example/**", "repo:example/books", "", "repo:exam*le/books:*", "a:b:" + strings.Repeat("c", MaxSubject) + ":*"} {
		if checkPattern(pattern) == nil {
			t.Errorf("%q is a pattern", pattern)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"a:b:c", "a:b:c", true},
		{"a:b:c", "a:b:d", false},
		{"a:b:*", "a:b:c", true},
		{"a:b:*", "a:b:c/d", true},
		{"a:b:*", "a:b:", false},
		{"a:b:*", "a:b", false},
		{"a:b:*:d", "a:b:*:e", false},
		{"a:b:*:d", "a:b:c:*", true},
		{"a:b:*:d", "a:b:c/d", false},
		{"a:b:*:d:*", "a:b:c:*:e", true},
		{"a:b:*:d", "a:b:*", true},
		{"a:b:*:d", "a:b:*:d:e", false},
		{"a/b/*", "a:b:*", false},
	} {
		if overlap(c.a, c.b) != c.want || overlap(c.b, c.a) != c.want {
			t.Errorf("overlap(%s, %s) = %v", c.a, c.b, !c.want)
		}
	}
}

func TestRequiredClaims(t *testing.T) {
	claims := `{"env": "prod", "n": 1, "kubernetes.io": {"namespace": "books", "pod": {"uid": "x"}}, "list": ["a", 1], "null": null}`
	for required, want := range map[string]bool{
		`{}`:                        true,
		`{"env": "prod"}`:           true,
		`{"env": "prod", "n": 1.0}`: true,
		`{"env": "Prod"}`:           false,
		`{"n": "1"}`:                false,
		`{"n": 2}`:                  false,
		`{"kubernetes.io": {"namespace": "books"}}`:       true,
		`{"kubernetes.io": {"namespace": "b"}}`:           false,
		`{"kubernetes.io": {"namespace": {"x": 1}}}`:      false,
		`{"kubernetes.io": {}}`:                           true,
		`{"env": {}}`:                                     false,
		`{"list": ["a", 1]}`:                              true,
		`{"list": ["a"]}`:                                 false,
		`{"list": "a"}`:                                   false,
		`{"null": null}`:                                  true,
		`{"missing": null}`:                               false,
		`{"big": 9007199254740993}`:                       false,
		`{"env": "prod", "kubernetes.io": {"none": "x"}}`: false,
	} {
		if got := holdsAll(object(t, claims), object(t, required)); got != want {
			t.Errorf("%s: %v", required, got)
		}
	}
	if sameNumber("9007199254740993", "9007199254740992") {
		t.Error("numbers that a float64 does not tell apart are the same")
	}
}

func TestClaimsThatExcludeEachOther(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`{"env": "prod"}`, `{"env": "test"}`, true},
		{`{"env": "prod"}`, `{"env": "prod"}`, false},
		{`{"env": "prod"}`, `{}`, false},
		{`{"env": "prod"}`, `{"ref": "x"}`, false},
		{`{"k": {"ns": "a"}}`, `{"k": {"ns": "b"}}`, true},
		{`{"k": {"ns": "a"}}`, `{"k": {"sa": "b"}}`, false},
		{`{"k": {"ns": "a"}}`, `{"k": "a"}`, true},
	} {
		if exclude(object(t, c.a), object(t, c.b)) != c.want || exclude(object(t, c.b), object(t, c.a)) != c.want {
			t.Errorf("%s and %s", c.a, c.b)
		}
	}
}

func object(t *testing.T, text string) (object map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		t.Fatal(err)
	}
	return object
}
