package registry

import (
	"slices"
	"strings"
	"testing"
)

func TestParseRefusesNotation(t *testing.T) {
	for what, c := range map[string]struct{ name, data, want string }{
		"json cut off":           {"r.json", "{\n\"clients\": {", "2:13: reading JSON: the JSON value is not complete"},
		"json cut off in a late": {"r.json", "{\"clients\": {\n\"a\": {\"b", "2:9: reading JSON: the JSON value is not complete"},
		"json trailing comma":    {"r.json", "{\n\"clients\": {},\n}", "2:14: reading JSON: invalid character ',' at start of value"},
		"json comma doubled":     {"r.json", "{\"clients\": {},,}", "1:16: reading JSON: invalid character ',' at start of value"},
		"json second value":      {"r.json", "{}\n{}", "2:1: something follows the JSON value"},
		"json text behind":       {"r.json", "{} x", "1:4: reading JSON: invalid character 'x' at start of value"},
		"json comment":           {"r.json", "{\n// no\n}", "2:1: reading JSON: invalid character '/' at start of value"},
		"json single quotes":     {"r.json", "{'clients': {}}", "1:2: reading JSON: invalid character '\\'' at start of value"},
		"json bad UTF-8":         {"r.json", "{\"clients\": {\"a\": {\"b\": \"\xff\"}}}", "1:26: reading JSON: invalid UTF-8"},
		"json NaN":               {"r.json", `{"clients": NaN}`, "1:13: reading JSON: invalid character 'N' at start of value"},
		"json two BOMs":          {"r.json", "\ufeff\ufeff{}", "1:1: reading JSON: invalid character '\\ufeff' at start of value"},
		"json number too large":  {"r.json", `{"clients":{"a":{"attributes":{"x":1e400}}}}`, "1:36: a number in attributes must be a JSON number: write it as one, or put it in quotes"},
		"yaml in .json":          {"r.json", "clients: {}", "1:1: reading JSON: invalid character 'c' at start of value"},

		"name not shown": {"r.json", `{"clients":{"a":{"hunter2":1}}}`,
			"1:18: unknown field in a client: known are attributes, audiences, auth, description, disabled, dpop_bound_access_tokens, expires, grants, identities, introspects, jwks, jwks_uri, limits, networks, secrets, tls_client_auth_san_dns, tls_client_auth_san_email, tls_client_auth_san_ip, tls_client_auth_san_uri, tls_client_auth_subject_dn, tls_client_certificate_bound_access_tokens, token_ttl"},

		"yaml second document": {"r.yaml", "clients: {}\n---\nclients: {}", "2:1: a second YAML document: only one is allowed"},
		"yaml anchor":          {"r.yaml", "clients: &x {}", "1:10: an anchor: YAML's anchors, aliases, merge keys and tags are not supported"},
		"yaml anchor on a key": {"r.yaml", "&x clients: {}", "1:1: an anchor: YAML's anchors, aliases, merge keys and tags are not supported"},
		"yaml alias":           {"r.yaml", "clients: *x", "1: reading YAML: an alias of an unknown anchor"},
		"yaml merge":           {"r.yaml", "clients:\n  <<: {}", "2:3: a merge key: YAML's anchors, aliases, merge keys and tags are not supported"},
		"yaml tag":             {"r.yaml", "clients: !!map {}", "1:10: a tag: YAML's anchors, aliases, merge keys and tags are not supported"},
		"yaml own tag":         {"r.yaml", "clients: {a: {description: !x y}}", "1:28: a tag: YAML's anchors, aliases, merge keys and tags are not supported"},
		"yaml binary tag":      {"r.yaml", "clients: {a: {description: !!binary aGk=}}", "1:28: a tag: YAML's anchors, aliases, merge keys and tags are not supported"},
		"yaml tab":             {"r.yaml", "clients:\n\ta: {}", "2: reading YAML: found character that cannot start any token"},
		"yaml cut off":         {"r.yaml", "clients: {", "1: reading YAML: did not find expected node content"},
		"yaml bomb": {"r.yaml", "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]",
			"1:4: an anchor: YAML's anchors, aliases, merge keys and tags are not supported"},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := Parse(c.name, []byte(c.data))
			got := strings.Join(problemsOf(t, c.name, err), "\n ")
			if got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestPlacesInJSON: lines and columns, which count characters, are also right in the entries, which are read late.
func TestPlacesInJSON(t *testing.T) {
	_, err := Parse("r.json", []byte(`{
	"clients": {"a": {}, "b": {
		"descripton": "é", "disabled": "é", "token_ttl":
		"é"}, "c": [], "d": {"disabled": 1}},
	"resources": {"r": {"actions": {}}}}`))
	want := []string{
		`3:3: unknown field "descripton" in a client: did you mean "description"?`,
		`3:34: disabled must be true or false, not a string`,
		`4:3: token_ttl must be a duration such as "5m"`,
		`4:14: a client must be a mapping, not a list`,
		`4:36: disabled must be true or false, not a number`,
		`5:33: a resource must have an action`,
	}
	if got := problemsOf(t, "r.json", err); !slices.Equal(got, want) {
		t.Errorf("\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// TestDeepNesting: deep nesting is an error, and does not overflow the stack.
func TestDeepNesting(t *testing.T) {
	for _, name := range []string{"r.json", "r.yaml"} {
		for _, open := range []string{"[", `{"a":`} {
			deep := `{"clients":{"c":{"attributes":` + strings.Repeat(open, 200_000)
			if _, err := Parse(name, []byte(deep)); err == nil {
				t.Errorf("%s: %s is taken", name, open)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, data := range []string{
		wholeYAML, wholeJSON, credentialsYAML, "", "{}", "null", "[", "clients:\n  a: {}\n", "a: &a [*a]", "<<: {}", "? a\n: b", "--- {}\n--- {}",
		`{"clients":{"a":{"secrets":[{"id":"1","sha256":"x"}]}}}`, `{"clients":{"a":{},"a":{}}}`, "clients: {1: {}, ~: {}}",
		`{"resources":{"r":{"actions":{"a":""},"audience":"urn:x"}}}`, "\ufeffclients: {}", "# c\n#\n- a\n  # d\n", "%YAML 1.1\n---\n",
	} {
		f.Add("r.yaml", []byte(data))
		f.Add("r.json", []byte(data))
		f.Add("r", []byte(data))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		before := slices.Clone(data)
		s, err := Parse(name, data)
		if !slices.Equal(data, before) {
			t.Fatal("the data was written to")
		}
		if (s == nil) == (err == nil) {
			t.Fatalf("%v, %v", s, err)
		}
		if err != nil {
			return
		}
		for id, c := range s.clients {
			if CheckClientID(id) != nil || c.ID != id || len(c.Secrets) > MaxSecrets || c.TokenTTL < 0 {
				t.Errorf("client %q: %+v", id, c)
			}
			for _, g := range c.Grants {
				if g.Resource == "" || len(g.Identifiers) == 0 || len(g.Actions) == 0 {
					t.Errorf("client %q has an empty grant: %+v", id, g)
				}
			}
		}
	})
}

// TestByteOrderMark is how some editors begin a file.
func TestByteOrderMark(t *testing.T) {
	for name, data := range map[string]string{"r.json": `{"clients": {"a": {}}}`, "r.yaml": "clients: {a: {}}"} {
		snapshot, err := Parse(name, []byte("\ufeff"+data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := snapshot.Client(t.Context(), "a"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := Parse("r.json", []byte("\ufeff{\"clients\": x}"))
	if got := strings.Join(problemsOf(t, "r.json", err), "\n"); !strings.HasPrefix(got, "1:13: ") {
		t.Errorf("the place is that of %s", got)
	}
}
