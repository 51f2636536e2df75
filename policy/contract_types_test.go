package policy

import (
	"strings"
	"testing"
)

// TestTypesOnLoad has rules whose values no decision can use, one at a time.
func TestTypesOnLoad(t *testing.T) {
	tests := []struct{ in, rule, want string }{
		{"token", `ttl contains "60"`, "ttl holds a value that is not a whole number of seconds from 1 to 31622400: write ttl contains seconds"},
		{"token", `ttl contains 0`, "ttl holds a value that is not a whole number of seconds"},
		{"token", `ttl contains 1.5`, "ttl holds a value that is not a whole number of seconds"},
		{"token", `ttl contains s.raw if some s in input.scopes`, "ttl holds a string and not a number"},
		{"token", `ttl contains [60]`, "ttl holds a value that is not"},
		{"token", `ttl contains input.client.attributes`, "ttl holds an object and not a number"},
		{"token", `ttl contains input.client.id != "x"`, "ttl holds a boolean and not a number"},
		{"token", `rejected contains s.raw if some s in input.scopes`, "rejected holds a string and not an object: write rejected contains"},
		{"token", `rejected contains {"scope": s.raw} if some s in input.scopes`, `rejected holds an object without "reason"`},
		{"token", `rejected contains {"reason": s.raw} if some s in input.scopes`, `rejected holds an object without "scope"`},
		{"token", `rejected contains {"scope": s, "reason": "x"} if some s in input.scopes`, `rejected holds an object whose "scope" is an object and not a string`},
		{"token", `rejected contains {"scope": s.raw, "reason": ["x"]} if some s in input.scopes`, `rejected holds an object whose "reason" is an array and not a string`},
		{"token", `rejected contains {"scope": s.raw, "reason": "x", "code": 1} if some s in input.scopes`, `rejected holds an object with "code", which may only have reason and scope`},
		{"token", `rejected contains {"msg": "x"}`, "rejected holds an object, which is not"},
		{"token", `rejected contains null`, "rejected holds a null"},
		{"token", `observed contains sprintf("%s", [input.client.id])`, "observed holds a string and not an object"},
		{"token", `beyond_subject contains s.raw if some s in input.scopes`, "beyond_subject holds a string and not an object: write beyond_subject contains"},
		{"token", `beyond_subject contains {"scope": s.raw} if some s in input.scopes`, `beyond_subject holds an object without "reason"`},
		{"token", `beyond_subject contains "book"`, "beyond_subject holds a string, which is not"},
		{"token", `granted contains s if some s in input.scopes`, "granted holds an object and not a string"},
		{"token", `granted contains 3`, "granted holds a number, which is not a string"},
		{"token", `default_scopes contains "a b"`, "default_scopes holds a malformed scope"},
		{"token", `default_scopes contains count(input.client.id)`, "default_scopes holds a number and not a string"},
		{"token", `claims[3] := "x"`, "claims has a name that is not a string"},
		{"token", `claims[i] := s.raw if some i, s in input.scopes`, "claims has a name that is a number and not a string"},
		{"token", `claims.sub := "x"`, `no token may have it: claim "sub" is reserved`},
		{"token", `claims["Scope"] := "x"`, `no token may have it: claim "Scope" is reserved`},
		{"token", `claims[""] := "x"`, "no token may have it: empty name of a claim"},
		{"token", `claims.act.sub := "x"`, `no token may have it: claim "act" is reserved`},
		{"request", `denied contains "no"`, "denied holds a string, which is not"},
		{"request", `denied contains sprintf("%s", [input.token.client_id])`, "denied holds a string and not an object"},
		{"request", `denied contains {"msg": "no"} if input.token.client_id == "x"`, "denied holds an object that is not"},
		{"request", `denied contains {"reason": input.request.path} if input.token.client_id == "x"`, `denied holds an object whose "reason" is an array and not a string`},
		{"request", `denied contains {"scope": "x", "reason": input.request.host}`, `denied holds an object with "scope", which may only have reason`},
		{"request", `required contains s if some s in input.token.scopes`, "required holds an object and not a string"},
		{"request", `required contains "a:b c"`, "required holds a malformed scope"},
		{"request", `headers["X-A"] := 1`, "headers holds a number and not a string"},
		{"request", `headers["X-A"] := input.request.path`, "headers holds an array and not a string"},
		{"request", `headers[i] := s if some i, s in input.request.path`, "headers has a name that is a number and not a string"},
		{"log", `mask contains 3`, "mask holds a number that is not a JSON pointer"},
		{"log", `mask contains "input/x"`, "mask holds a string that is not a JSON pointer"},
		{"log", `mask contains count(input)`, "mask holds a number and not a string or an object"},
	}
	for _, test := range tests {
		dir := write(t, map[string]string{
			"a.rego": "package m2m." + test.in + "\n\n" + test.rule + "\n",
			"b.rego": "package m2m.token\n\nttl contains n if some n in data.n\n\nttl contains 60\n",
		})
		_, err := Load(Config{Paths: []string{dir}})
		wantParts(t, err, "/a.rego:3: "+test.want)
		if n := strings.Count(err.Error(), ".rego:"); n != 1 {
			t.Errorf("%s: %d errors: %v", test.rule, n, err)
		}
	}
}

// TestTypesThatMayBeRight depend on data, or on a condition that OPA's types do not see.
func TestTypesThatMayBeRight(t *testing.T) {
	for name, module := range map[string]string{
		"attributes":     "package m2m.token\n\nttl contains input.client.attributes.ttl\n\nclaims.x := input.client.attributes\n",
		"data":           "package m2m.token\n\nrejected contains r if some r in data.refusals\n",
		"a function":     "package m2m.token\n\nttl contains f(1)\n\nf(x) := x\n",
		"a union":        "package m2m.token\n\nttl contains x if {\n\tsome x in [60, \"70\"]\n\tis_number(x)\n}\n",
		"a helper":       "package m2m.token\n\nrejected contains r if some r in no\n\nno contains {\"scope\": s.raw, \"reason\": \"x\"} if some s in input.scopes\n",
		"built":          "package m2m.token\n\nrejected contains object.union({\"reason\": \"x\"}, {\"scope\": s.raw}) if some s in input.scopes\n",
		"nested claims":  "package m2m.token\n\nclaims.a.b := 1\n\nclaims.groups contains s.raw if some s in input.scopes\n\nclaims[k] := v if some k, v in {\"a1\": 1}\n",
		"claims by name": "package m2m.token\n\nclaims[name] := 1 if some name in input.client.attributes.names\n",
		"of the token":   "package m2m.request\n\ndenied contains {\"reason\": input.token.claims.why}\n\nheaders[\"X-A\"] := input.token.claims.a\n",
		"headers":        "package m2m.request\n\nheaders[\"X-A\"] := v if some v in input.request.headers[\"x-b\"]\n",
		"a required one": "package m2m.request\n\nrequired contains sprintf(\"book:%s:read\", [input.token.subject])\n",
		"a mask":         "package m2m.log\n\nmask contains {\"op\": \"upsert\", \"path\": \"/input/x\", \"value\": 1}\n\nmask contains sprintf(\"/input/%s\", [input.path])\n",
		"read by others": "package m2m.token\n\nttl contains 60 if count(rejected) > 0\n\nrejected contains r if some r in data.refusals\n\nttl contains n if some n in data.n\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loadFiles(t, map[string]string{"a.rego": module})
		})
	}
}
