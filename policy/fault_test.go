package policy

import (
	"strings"
	"testing"
)

func TestFaultsAreErrors(t *testing.T) {
	tests := []struct {
		name, rego string
		kind       Kind
		parts      []string
	}{
		{"builtin", "granted contains \"book:1:read\" if to_number(input.client.id) > 3", Eval, []string{"a.rego:3", "rule granted", "to_number"}},
		{"builtin in a negation", "rejected contains {\"scope\": s, \"reason\": \"r\"} if {\n\tsome s in [\"book:1:read\"]\n\tnot time.parse_rfc3339_ns(s) > 3\n}", Eval, []string{"a.rego:5", "rule rejected"}},
		{"granted number", "granted contains 1", WrongType, []string{"granted", "a.rego:3", "a number"}},
		{"granted object", "granted contains s if some s in input.scopes", WrongType, []string{"granted", "an object"}},
		{"rejected string", "rejected contains \"book:1:read\"", WrongType, []string{"rejected", "a.rego:3", "a string"}},
		{"rejected without a reason", "rejected contains {\"scope\": \"book:1:read\"}", WrongType, []string{"rejected"}},
		{"rejected with more", "rejected contains {\"scope\": \"book:1:read\", \"reason\": \"r\", \"more\": 1}", WrongType, []string{"rejected"}},
		{"rejected with another key", "rejected contains {\"scope\": \"book:1:read\", \"why\": \"r\"}", WrongType, []string{"rejected"}},
		{"rejected with a list as scope", "rejected contains {\"scope\": [\"book:1:read\"], \"reason\": \"r\"}", WrongType, []string{"rejected"}},
		{"reason number", "rejected contains {\"scope\": \"book:1:read\", \"reason\": 1}", WrongType, []string{"rejected"}},
		{"claim name number", "claims[n] := 1 if some n in object.get({\"v\": [1]}, \"v\", [])", WrongType, []string{"claims", "a.rego:3"}},
		{"claim name empty", "claims[n] := 1 if some n in [\"\"]", WrongType, []string{"claims (", "a.rego:3) has an empty name"}},
		{"ttl zero", "ttl contains 0", WrongType, []string{"ttl", "a.rego:3"}},
		{"ttl negative", "ttl contains -1", WrongType, []string{"ttl"}},
		{"ttl fraction", "ttl contains 1.5", WrongType, []string{"ttl"}},
		{"ttl string", "ttl contains \"60\"", WrongType, []string{"ttl"}},
		{"ttl absurd", "ttl contains 1e9", WrongType, []string{"ttl"}},
		{"ttl overflow", "ttl contains 9223372036854775808", WrongType, []string{"ttl"}},
		{"ttl one of two", "ttl contains 60\nttl contains false", WrongType, []string{"ttl", "a.rego:3", "a.rego:4"}},
		{"claims conflict", "claims.team := \"a\"\nclaims.team := \"b\"", Conflict, []string{"a.rego:4: rule claims.team: produced conflicting values: \"a\" at ", "a.rego:3"}},
		{"claims conflict of a computed name", "claims[n] := v if {\n\tsome n in [\"team\"]\n\tsome v in [1, 2]\n}", Conflict, []string{"a.rego:3: rule claims: object keys must be unique"}},
		{"helper conflict", "f(x) := 1 if x\nf(x) := 2 if x\nttl contains f(true)", Conflict, []string{"a.rego:", "rule f: produced conflicting values for the same inputs"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\n\n" + hidden(test.rego, test.kind) + "\n"})
			d, err := e.DecideToken(t.Context(), request(t, "book:1:read"))
			wantKind(t, err, test.kind, test.parts...)
			if d.Granted != nil || d.Claims != nil || d.Revision != "" {
				t.Errorf("there is a decision beside the error: %+v", d)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than a line: %q", err)
			}
		})
	}
}

func TestDefaultScopesFaults(t *testing.T) {
	for _, rule := range []string{"default_scopes contains 1", `default_scopes contains "book:"`, `default_scopes contains "a b"`} {
		e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\n\n" + atRuntime(rule) + "\n"})
		_, err := e.DefaultScopes(t.Context(), request(t))
		wantKind(t, err, WrongType, "default_scopes", "a.rego:3")
	}
}

func TestRejectedWithoutRequestIsIgnored(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\nrejected contains {\"scope\": \"x\", \"reason\": \"r\"}\n"})
	if got := summary(decide(t, e, request(t, "book:1:read"))); got != "book:1:read | " {
		t.Errorf("got %s", got)
	}
}

func TestCanceled(t *testing.T) {
	_, err := load(t, Config{}).DecideToken(blocked(t), request(t, "book:1:read"))
	wantKind(t, err, Canceled)
}
