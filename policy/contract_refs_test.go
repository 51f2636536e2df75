package policy

import "testing"

// TestRulesThatDoNotExist are taken for missing data by OPA, so that a rejection with one never applies.
func TestRulesThatDoNotExist(t *testing.T) {
	const helpers = "package helpers.net\n\nimport data.m2m.scope\n\nis_office if input.ip == \"x\"\n\ncovers(a, b) := scope.covers(a, b)\n"
	for rule, want := range map[string]string{
		"ttl contains 60 if data.helpers.net.is_ofice":                                            `/a.rego:5: package helpers.net has no rule is_ofice (did you mean "is_office"?)`,
		"ttl contains 60 if not net.is_ofice":                                                     `/a.rego:5: package helpers.net has no rule is_ofice (did you mean "is_office"?)`,
		"ttl contains 60 if count([x | x := net.addresses]) > 0":                                  `/a.rego:5: package helpers.net has no rule addresses`,
		"ttl contains 60 if some s in data.m2m.grants.coverd":                                     `/a.rego:5: package m2m.grants has no rule coverd (did you mean "covered"?)`,
		"ttl contains 60 if data.m2m.token.grantd":                                                `/a.rego:5: package m2m.token has no rule grantd (did you mean "granted"?)`,
		"ttl contains 60 if data.m2m.scope.parsed":                                                `/a.rego:5: package m2m.scope has no rule parsed (did you mean "parse"?)`,
		"ttl contains n if {\n\tsome x in input.scopes\n\tn := data.helpers.net.limits[x.raw]\n}": `/a.rego:7: package helpers.net has no rule limits`,
	} {
		dir := write(t, map[string]string{
			"a.rego": "package m2m.token\n\nimport data.helpers.net\n\n" + rule + "\n\nttl contains 61 if net.is_office\n",
			"b.rego": helpers,
		})
		_, err := Load(Config{Paths: []string{dir}})
		wantParts(t, err, want)
	}
}

func TestReferencesThatMayBeRight(t *testing.T) {
	loadFiles(t, map[string]string{
		"a.rego": "package m2m.token\n\nttl contains n if some n in data.helpers.limits\n\nttl contains data.helpers.net.ttl.of[input.client.id]\n\n" +
			"ttl contains data.missing.n\n\nttl contains 60 if data.m2m.token.default_scopes\n\nttl contains 61 if data.helpers[input.client.id]\n\n" +
			"ttl contains 62 if data.helpers.net\n\nttl contains 63 if data.helpers.x\n\nttl contains data.helpers.claim.n\n",
		"b.rego":                "package helpers.net\n\nttl.of.ci := 60\n",
		"c.rego":                "package helpers\n\nx := 1\n\nclaim.n := 3\n",
		"helpers/data.yaml":     "limits: [60]\n",
		"helpers/net/data.json": `{"other": 1}`,
	})
}
