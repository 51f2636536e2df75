package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

var _ Registry = (*Snapshot)(nil)

// hashOf returns the hash of a text for a registry file.
func hashOf(n int) string { return HashSecret(fmt.Sprintf("secret number %d", n)) }

func mustParse(t testing.TB, name, data string) *Snapshot {
	t.Helper()
	s, err := Parse(name, []byte(data))
	if err != nil {
		t.Fatalf("parsing: %v", err)
	}
	return s
}

var wholeYAML = `
# Comments are free.
clients:
  ci-bot:
    description: Nightly import
    attributes: {team: catalogue, level: 3, ratio: 0.5, big: 12345678901234567890, on_call: true, none: null, tags: [a, {b: c}], since: 2024-01-01}
    token_ttl: 5m
    disabled: true
    secrets:
      - {id: s1, sha256: "` + hashOf(1) + `", expires: 2027-01-01T00:00:00Z}
      - id: s2
        sha256: ` + hashOf(2) + `
    grants:
      - {resource: book, identifiers: ["*"], actions: [read]}
      - {resource: book, identifiers: ["secret-*", "a:b"], actions: ["*"], effect: deny}
      - {resource: "*", identifiers: ["1"], actions: [stock], effect: allow}
  plain@example.com: {}
resources:
  shop:
    actions: {stock: ""}
  book:
    description: Books of the catalogue
    audience: https://api.example.com/v1?tenant=a
    actions: {read: Read a book, edit: Change a book}
    attributes: {owner: {team: x}}
`

var wholeJSON = `{"clients": {"ci-bot": {
	"description": "Nightly import",
	"attributes": {"team": "catalogue", "level": 3, "ratio": 0.5, "big": 12345678901234567890, "on_call": true, "none": null, "tags": ["a", {"b": "c"}], "since": "2024-01-01"},
	"token_ttl": "5m", "disabled": true,
	"secrets": [{"id": "s1", "sha256": "` + hashOf(1) + `", "expires": "2027-01-01T00:00:00Z"}, {"sha256": "` + hashOf(2) + `", "id": "s2"}],
	"grants": [
		{"resource": "book", "identifiers": ["*"], "actions": ["read"]},
		{"effect": "deny", "actions": ["*"], "resource": "book", "identifiers": ["secret-*", "a:b"]},
		{"resource": "*", "identifiers": ["1"], "actions": ["stock"], "effect": "allow"}]},
	"plain@example.com": {}},
"resources": {"shop": {"actions": {"stock": ""}},
	"book": {"description": "Books of the catalogue", "audience": "https:\/\/api.example.com/v1?tenant=a",
		"actions": {"read": "Read a book", "edit": "Change a book"}, "attributes": {"owner": {"team": "x"}}}}}`

func TestParseWhole(t *testing.T) {
	want := &Client{
		ID: "ci-bot", Description: "Nightly import", TokenTTL: 5 * time.Minute, Disabled: true,
		Attributes: map[string]any{
			"team": "catalogue", "level": json.Number("3"), "ratio": json.Number("0.5"), "big": json.Number("12345678901234567890"),
			"on_call": true, "none": nil, "tags": []any{"a", map[string]any{"b": "c"}}, "since": "2024-01-01",
		},
		Secrets: []Secret{
			{ID: "s1", SHA256: sum("secret number 1"), Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)},
			{ID: "s2", SHA256: sum("secret number 2")},
		},
		Grants: []scope.Grant{
			{Resource: "book", Identifiers: []string{"*"}, Actions: []string{"read"}},
			{Resource: "book", Identifiers: []string{"secret-*", "a:b"}, Actions: []string{"*"}, Deny: true},
			{Resource: "*", Identifiers: []string{"1"}, Actions: []string{"stock"}},
		},
	}
	book := &Resource{
		Code: "book", Description: "Books of the catalogue", Audience: "https://api.example.com/v1?tenant=a",
		Actions:    map[string]string{"read": "Read a book", "edit": "Change a book"},
		Attributes: map[string]any{"owner": map[string]any{"team": "x"}},
	}
	shop := &Resource{Code: "shop", Actions: map[string]string{"stock": ""}}
	for name, data := range map[string]string{
		"r.yaml": wholeYAML, "r.yml": wholeYAML, "r.json": wholeJSON, "r": wholeJSON, "r.conf": wholeYAML, "r.JSON": wholeJSON,
		"as.yaml": strings.ReplaceAll(wholeJSON, `\/`, "/"), // JSON is YAML too
	} {
		t.Run(name, func(t *testing.T) {
			s := mustParse(t, name, strings.ReplaceAll(data, "\t", " "))
			ctx := t.Context()
			if got, err := s.Client(ctx, "ci-bot"); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("client: %v\n got %+v\nwant %+v", err, got, want)
			}
			if got, err := s.Client(ctx, "plain@example.com"); err != nil || !reflect.DeepEqual(got, &Client{ID: "plain@example.com"}) {
				t.Errorf("client without anything: %+v, %v", got, err)
			}
			if got, err := s.Resource(ctx, "book"); err != nil || !reflect.DeepEqual(got, book) {
				t.Errorf("resource: %v\n got %+v\nwant %+v", err, got, book)
			}
			if got, err := s.Resources(ctx); err != nil || !reflect.DeepEqual(got, []*Resource{book, shop}) {
				t.Errorf("resources: %v, %v", got, err)
			}
		})
	}
}

func TestNotFound(t *testing.T) {
	s := mustParse(t, "r.yaml", wholeYAML)
	for _, id := range []string{"", "CI-BOT", "book", "ci-bot "} {
		if c, err := s.Client(t.Context(), id); c != nil || !errors.Is(err, ErrNotFound) {
			t.Errorf("Client(%q) = %v, %v", id, c, err)
		}
		if r, err := s.Resource(t.Context(), strings.ToUpper(id)); r != nil || !errors.Is(err, ErrNotFound) {
			t.Errorf("Resource(%q) = %v, %v", id, r, err)
		}
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, c := range []struct{ name, data string }{
		{"r.yaml", ""}, {"r.yaml", "# nothing\n"}, {"r.yaml", "---\n"}, {"r.yaml", "{}"}, {"r.yaml", "clients:\nresources:\n"},
		{"r.json", ""}, {"r.json", " \n"}, {"r.json", "{}"}, {"r.json", `{"clients":{}}`}, {"r.json", "null"}, {"r", ""},
	} {
		s := mustParse(t, c.name, c.data)
		if all, err := s.Resources(t.Context()); len(all) != 0 || err != nil {
			t.Errorf("%s %q: %v, %v", c.name, c.data, all, err)
		}
		if _, err := s.Client(t.Context(), "x"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s %q: %v", c.name, c.data, err)
		}
	}
}

func TestRevisionFollowsContent(t *testing.T) {
	a, same, other := mustParse(t, "a.yaml", "{}"), mustParse(t, "b.yaml", "{}"), mustParse(t, "a.yaml", "{} ")
	if a.Revision() == "" || a.Revision() != same.Revision() || a.Revision() == other.Revision() {
		t.Errorf("revisions %q, %q, %q", a.Revision(), same.Revision(), other.Revision())
	}
}

func TestClientIDs(t *testing.T) {
	s := mustParse(t, "r.yaml", "clients: {b-2: {}, a: {}, b-10: {}, B: {}, b: {}, c: {}, b-: {}}")
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          string
	}{
		{"", "", 0, "B a b b- b-10 b-2 c"},
		{"", "", 3, "B a b"},
		{"", "b", 3, "b- b-10 b-2"},
		{"", "b-10", -1, "b-2 c"},
		{"", "b-1", 1, "b-10"},
		{"", "c", 0, ""},
		{"", "zzz", 5, ""},
		{"b-", "", 0, "b- b-10 b-2"},
		{"b-", "a", 2, "b- b-10"},
		{"b-", "b-", 0, "b-10 b-2"},
		{"b-", "b-2", 0, ""},
		{"b-", "c", 0, ""},
		{"b-3", "", 0, ""},
		{"d", "", 0, ""},
	} {
		got, err := s.ClientIDs(t.Context(), c.prefix, c.after, c.limit)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%q after %q, %d at most: %q, %v; want %q", c.prefix, c.after, c.limit, got, err, c.want)
		}
	}
	if got, err := mustParse(t, "r.yaml", "").ClientIDs(t.Context(), "", "", 0); err != nil || len(got) != 0 {
		t.Errorf("of an empty registry: %q, %v", got, err)
	}
}
