package files

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/util"
	"go.yaml.in/yaml/v3"
)

func TestDataFaults(t *testing.T) {
	tests := []struct{ name, file, content, want string }{
		{"repeated key", "a.json", "{\"deny\": [1],\n\"x\": 2,\n\"deny\": []}", `a.json:3: parsing data: key "deny" is repeated`},
		{"repeated key below", "a.json", "{\"x\": [{\n\"deny\": [1],\n\"deny\": []}]}", `a.json:3: parsing data: key "deny" is repeated`},
		{"repeated key, escaped", "a.json", `{"a/b": 1, "\u0061/b": 2}`, `a.json:1: parsing data: key "a/b" is repeated`},
		{"cut short", "a.json", "{\n\"a\": 1\n", "a.json:3: parsing data: unexpected EOF"},
		{"empty", "a.json", "", "a.json:1: parsing data: unexpected EOF"},
		{"no value", "a.json", "{\"a\":\n\n}", "a.json:3: parsing data: missing value after object name"},
		{"more behind it", "a.json", "{}\n{}", "a.json:2: parsing data: more than one document"},
		{"rubbish behind it", "a.json", "{}\nx", "a.json:2: parsing data: invalid character 'x'"},
		{"no UTF-8", "a.json", "{\n\"a\": \"\xff\"}", "a.json:2: parsing data: invalid UTF-8"},

		{"repeated key", "a.yaml", "deny: [1]\nx: 2\ndeny: []\n", `a.yaml:3: parsing data: key "deny" is repeated`},
		{"repeated key below", "a.yaml", "x:\n- deny: [1]\n  deny: []\n", `a.yaml:3: parsing data: key "deny" is repeated`},
		{"repeated key of a flow", "a.yml", "x: {deny: 1,\n \"deny\": 2}", `a.yml:2: parsing data: key "deny" is repeated`},
		{"repeated key below an anchor", "a.yml", "x: &x\n  a: 1\n  a: 2\ny: *x\n", `a.yml:3: parsing data: key "a" is repeated`},
		{"repeated key by another spelling", "a.yaml", "1: a\n\"1\": b\n", `a.yaml:2: parsing data: key "1" is repeated`},
		{"repeated key by another number", "a.yaml", "16: a\n0x10: b\n", `a.yaml:2: parsing data: key "16" is repeated`},
		{"repeated key by another truth", "a.yaml", "true: a\nTrue: b\n", `a.yaml:2: parsing data: key "true" is repeated`},
		{"repeated key by a tag", "a.yaml", "!!binary aGk=: 1\nhi: 2\n", `a.yaml:2: parsing data: key "hi" is repeated`},
		{"repeated key by an alias", "a.yaml", "a: &k b\n*k : 2\nb: 3\n", `a.yaml:3: parsing data: key "b" is repeated`},
		{"repeated merge key", "a.yaml", "<<: {a: 1}\n<<: {a: 2}\n", `a.yaml:2: parsing data: key "<<" is repeated`},
		{"repeated key of JSON", "a.yaml", "{\"deny\": 1,\n\t\"deny\": 2}", `a.yaml:2: parsing data: key "deny" is repeated`},
		{"key that is a list", "a.yaml", "x: 1\n? [a]\n: 1\n", "a.yaml:2: parsing data: invalid map key"},
		{"key that is null", "a.yaml", "x: 1\n~: 1\n", "a.yaml:2: parsing data: unsupported map key"},
		{"list that is not closed", "a.yaml", "a: 1\nb: [1\n", "a.yaml:2: parsing data: did not find expected ',' or ']'"},
		{"one line", "a.yaml", "a: [1", "a.yaml:1: parsing data: did not find expected ',' or ']'"},
		{"indentation", "a.yaml", "a: 1\nb: 2\n c: 3\n", "a.yaml:3: parsing data: mapping values are not allowed"},
		{"tab", "a.yaml", "a: 1\n\tb: 2\n", "a.yaml:2: parsing data: found a tab"},
		{"no colon", "a.yaml", "a: 1\nb\nc: 3\n", "a.yaml:2: parsing data: could not find expected ':'"},
		{"unknown alias", "a.yaml", "a: 1\nb: *x\n", "a.yaml:2: parsing data: unknown anchor 'x'"},
		{"second document", "a.yaml", "a: 1\n---\na: 2\n", "a.yaml:2: parsing data: more than one document"},
		{"rubbish behind it", "a.yaml", "a: 1\n...\n%bad\n", "a.yaml:3: parsing data: found unknown directive"},
	}
	for _, test := range tests {
		t.Run(test.file+" "+test.name, func(t *testing.T) {
			t.Parallel()
			err := load(write(t, map[string]string{test.file: test.content}))
			wantParts(t, err, "/"+test.want)
		})
	}
}

func TestDataIsDecodedAsByOPA(t *testing.T) {
	for file, contents := range map[string][]string{
		"a.json": {`{"a": 12345678901234567890, "b": 1.0, "c": 1e400, "d": null, "a/b": {"a": {"a": 1}}}`},
		"a.yaml": {
			"a: 12345678901234567890\nb: 1.0\nc: 0o17\nd: yes\ne: 2001-01-01\nf: ~\n",
			"1: a\n2.5: b\ntrue: c\nyes: d\n0x10: e\n",
			"x: &x {a: 1, b: 2}\ny: {a: 3, <<: *x}\nz: {<<: *x, b: 3}\n",
			"a: &k b\n*k : 2\n",
			"---\na: 1\n...\n",
			"\ufeffa: 1\n",
			"{\n\t\"a\": \"\\ud83d\\ude00\"\n}",
			"\ufeff{\"a\": 12345678901234567890}",
		},
	} {
		for _, content := range contents {
			var want any
			if err := util.Unmarshal([]byte(content), &want); err != nil {
				t.Fatal(err)
			}
			got, err := File{Name: file, Path: file, Content: []byte(content)}.document(newBudget())
			if err != nil || !reflect.DeepEqual(any(got), want) {
				t.Errorf("%q: got %#v, %v, want %#v", content, got, err, want)
			}
		}
	}
}

var placed = regexp.MustCompile(`^a\.(json|yaml)(:[1-9]\d*)?: `)

// FuzzData reads no key away: what is taken has as many keys as stand in the file.
func FuzzData(f *testing.F) {
	for _, seed := range []string{
		`{"a": {"b": [1, {"c": 2}]}, "a": 1}`, "a: 1\nb: [{c: 2}, d]\n", "1: a\n1.0: b\n", "0.1: 1\n0.10000000001: 2\n",
		"a: &a {b: 1}\nc: {<<: *a}\n", "? [a]\n: 1\n", "a: 1\n---\nb: 2\n", "!!binary aGk=: 1\nhi: 2\n", ".inf: 1\n'.inf': 2\n",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, content string, json bool) {
		name := "a.yaml"
		if json {
			name = "a.json"
		}
		document, err := File{Name: name, Path: name, Content: []byte(content)}.document(newBudget())
		if err != nil {
			if !placed.MatchString(err.Error()) {
				t.Errorf("%q has no place", err)
			}
			return
		}
		var node yaml.Node
		if strings.Contains(content, "<<") || yaml.Unmarshal([]byte(content), &node) != nil {
			return
		}
		if written, hasAlias := keysOfNode(&node); !hasAlias && keysOf(document) != written {
			t.Errorf("%d keys of %d: %v", keysOf(document), written, document)
		}
	})
}

func keysOfNode(n *yaml.Node) (keys int, hasAlias bool) {
	if n.Kind == yaml.MappingNode {
		keys = len(n.Content) / 2
	}
	hasAlias = n.Kind == yaml.AliasNode
	for _, child := range n.Content {
		more, alias := keysOfNode(child)
		keys, hasAlias = keys+more, hasAlias || alias
	}
	return keys, hasAlias
}

func keysOf(v any) int {
	keys := 0
	switch v := v.(type) {
	case map[string]any:
		keys = len(v)
		for _, value := range v {
			keys += keysOf(value)
		}
	case []any:
		for _, value := range v {
			keys += keysOf(value)
		}
	}
	return keys
}

// TestByteOrderMark is how some editors begin a file. What follows is JSON, and errors have its lines.
func TestByteOrderMark(t *testing.T) {
	for _, file := range []string{"a.json", "a.yaml", "a.yml"} {
		got, err := Data([]File{{Name: file, Path: file, Content: []byte("\ufeff{\"deny\": [\"x\"]}")}})
		if err != nil || !reflect.DeepEqual(got, map[string]any{"deny": []any{"x"}}) {
			t.Errorf("%s: %v, %v", file, got, err)
		}
	}
	got, err := Data([]File{{Name: "a.json", Path: "a.json", Content: []byte("\ufeff{\"date\": \"\\/Date(1725472274633)\\/\"}")}}) // of PowerShell
	if err != nil || got["date"] != "/Date(1725472274633)/" {
		t.Errorf("%v, %v", got, err)
	}
	_, err = Data([]File{{Name: "a.json", Path: "a.json", Content: []byte("\ufeff{\n\"a\": 1,\n\"a\": 2}")}})
	wantParts(t, err, `a.json:3: parsing data: key "a" is repeated`)
	_, err = Data([]File{{Name: "a.json", Path: "a.json", Content: []byte("\ufeff\ufeff{}")}})
	wantParts(t, err, "a.json:1: ")
}
