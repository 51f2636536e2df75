package scope_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// cases is the table that the Rego library is tested with, too.
type cases struct {
	Parse []struct {
		Raw                          string
		Valid                        bool
		Resource, Identifier, Action string
	}
	Pairs []struct {
		A, B             string
		Covers, Overlaps bool
	}
	Grants []struct {
		Grant struct {
			Resource             string
			Identifiers, Actions []string
			Effect               string
		}
		Scope            string
		Covers, Overlaps bool
	}
}

func readCases(t *testing.T) cases {
	t.Helper()
	content, err := os.ReadFile("../../rego/testdata/scope_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases cases `json:"scope_cases"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	c := file.Cases
	if len(c.Parse) == 0 || len(c.Pairs) == 0 || len(c.Grants) == 0 {
		t.Fatal("the table is empty")
	}
	return c
}

func mustParse(tb testing.TB, raw string) scope.Scope {
	tb.Helper()
	s, err := scope.Parse(raw)
	if err != nil {
		tb.Fatalf("%q: %v", raw, err)
	}
	return s
}

func TestParse(t *testing.T) {
	for _, c := range readCases(t).Parse {
		got, err := scope.Parse(c.Raw)
		if !c.Valid {
			if err == nil || got != (scope.Scope{}) {
				t.Errorf("%q is taken: %+v, %v", c.Raw, got, err)
			}
			continue
		}
		want := scope.Scope{Raw: c.Raw, Resource: c.Resource, Identifier: c.Identifier, Action: c.Action}
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", c.Raw, got, err, want)
		}
	}
}

func TestParseErrorsDoNotRepeatTheScope(t *testing.T) {
	for _, c := range readCases(t).Parse {
		if _, err := scope.Parse(c.Raw); err != nil && len(c.Raw) > 5 && strings.Contains(err.Error(), c.Raw) {
			t.Errorf("%q: %v", c.Raw, err)
		}
	}
}

func TestCoversAndOverlaps(t *testing.T) {
	for _, c := range readCases(t).Pairs {
		a, b := mustParse(t, c.A), mustParse(t, c.B)
		if got := a.Covers(b); got != c.Covers {
			t.Errorf("%s covers %s: %v", c.A, c.B, got)
		}
		if got, back := a.Overlaps(b), b.Overlaps(a); got != c.Overlaps || back != c.Overlaps {
			t.Errorf("%s overlaps %s: %v, the other way %v", c.A, c.B, got, back)
		}
	}
}

func TestGrant(t *testing.T) {
	for _, c := range readCases(t).Grants {
		g := scope.Grant{
			Resource: c.Grant.Resource, Identifiers: c.Grant.Identifiers, Actions: c.Grant.Actions,
			Deny: c.Grant.Effect == "deny",
		}
		s := mustParse(t, c.Scope)
		if got := g.Covers(s); got != c.Covers {
			t.Errorf("%+v covers %s: %v", g, c.Scope, got)
		}
		if got := g.Overlaps(s); got != c.Overlaps {
			t.Errorf("%+v overlaps %s: %v", g, c.Scope, got)
		}
	}
}

func TestParseList(t *testing.T) {
	tests := []struct {
		name, list string
		limit      int
		want       []string
		err        string
	}{
		{name: "empty", list: "", limit: 3},
		{name: "spaces alone", list: "   ", limit: 3},
		{name: "order is kept", list: "b a c", limit: 3, want: []string{"b", "a", "c"}},
		{name: "repetitions are dropped", list: "a b a", limit: 2, want: []string{"a", "b"}},
		{name: "forms of one scope stay apart", list: "book:read book:*:read", limit: 2, want: []string{"book:read", "book:*:read"}},
		{name: "many spaces", list: "  a   b ", limit: 2, want: []string{"a", "b"}},
		{name: "too many", list: "a b c", limit: 2, err: "more than 2 scopes"},
		{name: "malformed", list: "a b: c", limit: 3, err: "scope 2: empty action"},
		{name: "tab", list: "a\tb", limit: 3, err: "scope 1: character 0x09 at byte 2 is not allowed"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			scopes, err := scope.ParseList(test.list, test.limit)
			if text := errorText(err); text != test.err {
				t.Fatalf("error %q, want %q", text, test.err)
			}
			var got []string
			for _, s := range scopes {
				got = append(got, s.Raw)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestEscapeIdentifier(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{"1", "1"},
		{"a:b-c_d.e~", "a:b-c_d.e~"},
		{"*", "%2A"},
		{"a*", "a%2A"},
		{"100%", "100%25"},
		{"%2A", "%252A"},
		{"a b\"\\\n\x00\x7f", "a%20b%22%5C%0A%00%7F"},
		{"ö", "%C3%B6"},
		{"\xff", "%FF"},
	}
	for _, test := range tests {
		if got := scope.EscapeIdentifier(test.text, ""); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
	if got := scope.EscapeIdentifier("a:b-c", ":"); got != "a%3Ab-c" {
		t.Errorf("with the colon: %q", got)
	}
}

func TestChecks(t *testing.T) {
	tests := []struct {
		name                         string
		text                         string
		resource, action, identifier bool
	}{
		{"literal", "book", true, true, true},
		{"any", "*", false, false, true},
		{"prefix", "a*", false, false, true},
		{"colon", "a:b", false, false, true},
		{"star within", "a*b", false, false, false},
		{"empty", "", false, false, false},
		{"space", "a b", false, false, false},
		{"quote", `a"b`, false, false, false},
		{"too long", strings.Repeat("a", scope.MaxLength+1), false, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := scope.CheckResource(test.text); (err == nil) != test.resource {
				t.Errorf("as a resource: %v", err)
			}
			if err := scope.CheckAction(test.text); (err == nil) != test.action {
				t.Errorf("as an action: %v", err)
			}
			if err := scope.CheckIdentifier(test.text); (err == nil) != test.identifier {
				t.Errorf("as an identifier: %v", err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, raw := range []string{"book:1:read", "book", "*", "a:b:c:d", "a:b*:c", "::", "book:%2A:read", "\x00", "ö"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		s, err := scope.Parse(raw)
		if err != nil {
			return
		}
		if s.Raw != raw {
			t.Errorf("%q is echoed as %q", raw, s.Raw)
		}
		if !s.Covers(s) || !s.Overlaps(s) {
			t.Errorf("%q does not cover itself", raw)
		}
		again, err := scope.Parse(s.String())
		if len(s.String()) <= scope.MaxLength && (err != nil || !again.Covers(s) || !s.Covers(again)) {
			t.Errorf("%q is not %q: %v", s.String(), raw, err)
		}
	})
}

// FuzzEscapeIdentifier holds that text from a path can neither widen a scope nor move its ends.
func FuzzEscapeIdentifier(f *testing.F) {
	for _, text := range []string{"1", "*", "a*", "a:b", "%2A", "a b", "\xff", ":*:"} {
		f.Add(text, "1")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		id, other := scope.EscapeIdentifier(a, ""), scope.EscapeIdentifier(b, "")
		if (id == other) != (a == b) {
			t.Errorf("%q and %q become %q and %q", a, b, id, other)
		}
		if id == "" || len(id) > scope.MaxLength-len("book::read") {
			return
		}
		s := mustParse(t, "book:"+id+":read")
		want := scope.Scope{Raw: s.Raw, Resource: "book", Identifier: id, Action: "read"}
		if s != want {
			t.Errorf("%q becomes %+v", a, s)
		}
		if wider := (scope.Scope{Resource: "book", Identifier: other, Action: "read"}); a != b && s.Covers(wider) {
			t.Errorf("%q covers %q", id, other)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := scope.Parse("book:urn:isbn:1:read"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCovers(b *testing.B) {
	held, wanted := mustParse(b, "book:*:read"), mustParse(b, "book:1:read")
	b.ReportAllocs()
	for b.Loop() {
		if !held.Covers(wanted) {
			b.Fatal("not covered")
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
