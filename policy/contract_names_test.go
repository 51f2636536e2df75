package policy

import (
	"strings"
	"testing"
)

func TestMisspeltRules(t *testing.T) {
	const refusal = `{"scope": "book:1:read", "reason": "x"}`
	tests := []struct{ rule, meant string }{
		{"rejectd contains " + refusal, "rejected"},
		{"rejects contains " + refusal, "rejected"},
		{"rejcted contains " + refusal + " if input.client.id", "rejected"},
		{"Rejected contains " + refusal, "rejected"},
		{"grantd contains \"book:1:read\"", "granted"},
		{"grant contains \"book:1:read\"", "granted"},
		{"grantd := {\"book:1:read\"}", "granted"},
		{"claim[\"team\"] := 1", "claims"},
		{"claim.team := 1", "claims"},
		{"default_scope contains \"book:1:read\"", "default_scopes"},
		{"defaultScopes contains \"book:1:read\"", "default_scopes"},
		{"ttls contains 60", "ttl"},
		{"default ttls := 60", "ttl"},
	}
	for _, test := range tests {
		for _, noDefaults := range []bool{false, true} {
			dir := write(t, map[string]string{"a.rego": "package m2m.token\n\n" + test.rule + "\n"})
			_, err := Load(Config{Paths: []string{dir}, NoDefaults: noDefaults})
			name, _, _ := strings.Cut(strings.TrimPrefix(test.rule, "default "), " ")
			name, _, _ = strings.Cut(name, "[")
			name, _, _ = strings.Cut(name, ".")
			wantParts(t, err, "/a.rego:3: "+name+" has no effect, because no rule uses it (did you mean \""+test.meant+"\"?)")
		}
	}
}

func TestMisspeltRulesInSeveralPlaces(t *testing.T) {
	dir := write(t, map[string]string{
		"a.rego": "package m2m.token\n\nttls contains 60\n\nttls contains 61\n",
		"b.rego": "package m2m.token\n\nclaim.x := 1\n",
	})
	_, err := Load(Config{Paths: []string{dir}})
	wantParts(t, err, "/a.rego:3: ttls", "/a.rego:5: ttls", "/b.rego:3: claim")
}

func TestHelpersLikeTheContract(t *testing.T) {
	tests := map[string]map[string]string{
		"set": {"a.rego": "package m2m.token\n\ngrants contains s.raw if some s in input.scopes\n\ngranted contains s if some s in grants\n"},
		"of several rules": {
			"a.rego": "package m2m.token\n\nttls contains 60\n\nttl contains min(ttls)\n",
			"b.rego": "package m2m.token\n\nttls contains 61\n",
		},
		"object":             {"a.rego": "package m2m.token\n\nclaim.team := 1\n\nclaims[k] := v if some k, v in claim\n"},
		"one key of it":      {"a.rego": "package m2m.token\n\nclaim.team := 1\n\nclaim.other := 2\n\nclaims.team := claim.team\n"},
		"with a default":     {"a.rego": "package m2m.token\n\ndefault ttls := 60\n\nttls := 61 if input.client.id == \"x\"\n\nttl contains ttls\n"},
		"negated":            {"a.rego": "package m2m.token\n\nreject if input.client.id == \"x\"\n\nttl contains 60 if not reject\n"},
		"in an else":         {"a.rego": "package m2m.token\n\nreject := 1\n\nlife := 60 if {\n\tinput.client.id == \"x\"\n} else := reject\n\nttl contains life\n"},
		"in a comprehension": {"a.rego": "package m2m.token\n\ngrant contains 60\n\nttl contains count([g | some g in grant])\n"},
		"of a default rule":  {"a.rego": "package m2m.token\n\nlimits contains n if some n in ttls\n\nttls contains 60\n"},
		"another package": {
			"a.rego": "package m2m.token\n\nclaim := {\"a\": 1}\n",
			"b.rego": "package report\n\nimport data.m2m.token\n\nall := token.claim\n",
		},
		"by its path":        {"a.rego": "package m2m.token\n\nclaim := {\"a\": 1}\n\nclaims.a := data.m2m.token.claim.a\n"},
		"by a computed name": {"a.rego": "package m2m.token\n\nclaim := 1\n", "b.rego": "package report\n\nall[x] := data.m2m.token[x]\n"},
		"function":           {"a.rego": "package m2m.token\n\ngrants(c) := c.grants\n"},
		"far":                {"a.rego": "package m2m.token\n\nscopes contains 1\n\nnames := 2\n\nclients := 3\n\nttl_of_ci := 4\n\nt := 5\n\nall := 6\n\nrejections := 7\n"},
		"elsewhere":          {"a.rego": "package helpers\n\nclaim := 1\n\ngrants contains 1\n\nrejectd contains 1\n"},
	}
	for name, files := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loadFiles(t, files)
		})
	}
}
