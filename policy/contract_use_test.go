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
		"of a helper":        {"a.rego": "package m2m.token\n\nlimits contains n if some n in ttls\n\nttls contains 60\n\nttl contains n if some n in limits\n"},
		"another package": {
			"a.rego": "package m2m.token\n\nclaim := {\"a\": 1}\n",
			"b.rego": libraryMark + "package report\n\nimport data.m2m.token\n\nall := token.claim\n",
		},
		"by its path":        {"a.rego": "package m2m.token\n\nclaim := {\"a\": 1}\n\nclaims.a := data.m2m.token.claim.a\n"},
		"by a computed name": {"a.rego": "package m2m.token\n\nclaim := 1\n", "b.rego": libraryMark + "package report\n\nall[x] := data.m2m.token[x]\n"},
		"function":           {"a.rego": "package m2m.token\n\ngrants(c) := c.grants\n\nclaims.n := count(grants(input.client))\n"},
		"marked":             {"a.rego": "package m2m.token\n\n" + libraryMark + "deny := true\n"},
		"marked document":    {"a.rego": "package m2m.token\n\n# METADATA\n# scope: document\n# custom:\n#   library: true\ndeny := true\n"},
		"a marked package":   {"a.rego": libraryMark + "package helpers\n\nclaim := 1\n\nrejectd contains 1\n"},
		"packages below":     {"a.rego": "# METADATA\n# scope: subpackages\n# custom: {library: true}\npackage lib\n", "b.rego": "package lib.a\n\nx := 1\n"},
		"a chain of packages": {
			"a.rego": "package m2m.token\n\nimport data.one\n\nttl contains one.x\n",
			"b.rego": "package one\n\nimport data.two\n\nx := two.x\n\nunused := 1\n",
			"c.rego": "package two\n\nx := 60\n",
		},
		"of a mask":         {"a.rego": "package m2m.log\n\npointers := [\"/input/x\"]\n\nmask contains p if some p in pointers\n"},
		"a package of data": {"a.rego": "package empty\n"},
		"an empty contract": {"a.rego": "package m2m.token\n"},
	}
	for name, files := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loadFiles(t, files)
		})
	}
}

// libraryMark marks what follows it as a library.
const libraryMark = "# METADATA\n# custom:\n#   library: true\n"

// TestRulesOfOtherPolicies holds rules that are active in policies for other products, and in packages of their own.
func TestRulesOfOtherPolicies(t *testing.T) {
	const effect = " has no effect, because no rule uses it "
	const packageEffect = " has no effect, because no rule of m2m.token, m2m.request, m2m.identity or m2m.log uses it "
	tests := []struct{ module, want string }{
		{"package m2m.token\n\ndeny if input.client.id == \"x\"", ":3: deny" + effect + `(did you mean "rejected"?)`},
		{"package m2m.token\n\ndeny contains \"no\"", `(did you mean "rejected"?)`},
		{"package m2m.token\n\ndenied contains {\"reason\": \"x\"}", `(did you mean "rejected"?)`},
		{"package m2m.token\n\nviolation contains {\"msg\": \"x\"}", `(did you mean "rejected"?)`},
		{"package m2m.token\n\nrejections contains 1", `(did you mean "rejected"?)`},
		{"package m2m.token\n\nDeny := true", `(did you mean "rejected"?)`},
		{"package m2m.token\n\ndefault allow := false\n\nallow if input.client.id == \"x\"", ":3: allow" + effect + `(did you mean "granted"?)`},
		{"package m2m.token\n\nlifetime := 60", `(did you mean "ttl"?)`},
		{"package m2m.token\n\nwarn contains \"x\"", `(did you mean "observed"?)`},
		{"package m2m.token\n\nwiden contains \"x\"", `(did you mean "beyond_subject"?)`},
		{"package m2m.token\n\nheaders[\"X-A\"] := \"b\"", "the rules of package m2m.token are beyond_subject, claims, default_scopes, granted, observed, rejected, ttl"},
		{"package m2m.token\n\nis_bad(x) if x == 1", ":3: is_bad" + effect},
		{"package m2m.token\n\n_a := _b\n\n_b := 1", ":3: _a" + effect},
		{"package m2m.request\n\ndeny contains {\"reason\": \"x\"}", ":3: deny" + effect + `(did you mean "denied"?)`},
		{"package m2m.request\n\nrejected contains {\"reason\": \"x\"}", `(did you mean "denied"?)`},
		{"package m2m.request\n\nallow if input.token.client_id == \"x\"", `(did you mean "denied"? A request passes unless it is denied: deny what is "not allow")`},
		{"package m2m.request\n\nscopes contains \"book\"", `(did you mean "required"?)`},
		{"package m2m.log\n\nerase contains \"/input/x\"", `(did you mean "mask"?)`},
		{"# METADATA\n# custom: {library: true}\npackage m2m.token\n\ndeny := true", `(did you mean "rejected"?)`},
		{"# METADATA\n# custom: {library: yes-please}\npackage lib\n\nx := true", "package lib" + packageEffect},
		{"package m2m_token\n\nrejected contains 1", ":1: package m2m_token" + packageEffect + "(did you mean package m2m.token?)"},
		{"package token\n\nrejected contains 1", "(did you mean package m2m.token?)"},
		{"package tokens\n\nx := 1", "(did you mean package m2m.token?)"},
		{"package m2mtoken\n\nx := 1", "(did you mean package m2m.token?)"},
		{"package m2n.request\n\nx := 1", "(did you mean package m2m.request?)"},
		{"package caddy.m2m.token\n\nx := 1", "(did you mean package m2m.token?)"},
		{"package system.log\n\nmask contains \"/input/x\"", "(did you mean package m2m.log?)"},
		{"package envoy.authz\n\ndefault allow := false", ":1: package envoy.authz" + packageEffect + "(did you mean package m2m.request?)"},
		{"package httpapi.authz\n\nheaders[\"x\"] := 1", "(did you mean package m2m.request?)"},
		{"package helpers\n\nx := 1", `(mark a library with METADATA "custom: {library: true}")`},
		{"package helpers_test\n\ntest_x if true", "(a test is in a file with the name …_test.rego)"},
		{"package helpers\n\ntest_x if true", "(a test is in a file with the name …_test.rego)"},
	}
	for _, test := range tests {
		for name, file := range map[string]string{"policy": "/a.rego", "subfolder": "/sub/a.rego"} {
			dir := write(t, map[string]string{file: test.module + "\n"})
			_, err := Load(Config{Paths: []string{dir}})
			wantParts(t, err, file+":", test.want)
			if checked := (Candidate{Paths: []string{dir}}).Check(); checked == nil || checked.Error() != err.Error() {
				t.Errorf("%s: check says %v, and load %v", name, checked, err)
			}
		}
	}
}

// TestPackagesThatOnlyReadEachOther have no effect, although another package imports each of them. Reports of a test
// do not count either: a test that passes does not make a rule active.
func TestPackagesThatOnlyReadEachOther(t *testing.T) {
	dir := write(t, map[string]string{
		"a.rego":      "package one\n\nimport data.two\n\na := two.b\n\nc := 1\n",
		"b.rego":      "package two\n\nimport data.one\n\nb := 1\n\nd := one.c\n",
		"c.rego":      "package m2m.token\n\nimport data.three\n\ndeny if three.x\n",
		"d.rego":      "package three\n\nx := true\n",
		"a_test.rego": "package m2m_test\n\nimport data.m2m.token\n\ntest_deny if token.deny\n",
	})
	_, err := Load(Config{Paths: []string{dir}, Verify: true})
	wantParts(t, err, "/a.rego:1: package one", "/b.rego:1: package two", "/c.rego:5: deny", "/d.rego:1: package three")
}
