package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

func TestLoadErrors(t *testing.T) {
	const token = "package m2m.token\n\n"
	tests := []struct {
		name  string
		files map[string]string
		parts []string
	}{
		{"syntax", map[string]string{"a.rego": token + "granted contains {\n"}, []string{"/a.rego:"}},
		{"old syntax", map[string]string{"a.rego": token + "granted[s] { s := \"a\" }\n"}, []string{"/a.rego:3"}},
		{"empty file", map[string]string{"a.rego": "\n"}, []string{"/a.rego:1: empty module"}},
		{"file of no bytes", map[string]string{"a.rego": ""}, []string{"/a.rego:1: empty module"}},
		{"misspelt input", map[string]string{"a.rego": token + "ttl contains 60 if input.client.idd == \"x\"\n"}, []string{"/a.rego:3: ", "input.client.idd", `did you mean "id"?`}},
		{"misspelt input at its root", map[string]string{"a.rego": token + "ttl contains 60 if input.cliemt.id == \"x\"\n"}, []string{"/a.rego:3: ", `did you mean "client"?`}},
		{"misspelt input of some", map[string]string{"a.rego": token + "ttl contains 60 if some s in input.scopse\n"}, []string{"/a.rego:3: undefined ref: input.scopse (did you mean \"scopes\"?)"}},
		{"misspelt input of some pattern", map[string]string{"a.rego": token + "ttl contains 60 if some [x, x] in input.scopse\n"}, []string{"/a.rego:3: undefined ref: input.scopse (did you mean \"scopes\"?)"}},
		{"misspelt input through a variable", map[string]string{"a.rego": token + "granted contains s.raws if some s in input.scopes\n"}, []string{"/a.rego:3: ", `did you mean "raw"?`}},
		{"misspelt input beside metadata", map[string]string{"a.rego": "# METADATA\n# title: Ours\n" + token + "# METADATA\n# title: rule\nttl contains 60 if input.requests\n"}, []string{"/a.rego:7: ", `did you mean "request"?`}},
		{"wrong type of input", map[string]string{"a.rego": token + "ttl contains 60 if count(input.issuer.x) > 0\n"}, []string{"/a.rego:3: "}},
		{"unused variable", map[string]string{"a.rego": token + "ttl contains 60 if x := 1\n"}, []string{"/a.rego:3: ", "unused"}},
		{"unused import", map[string]string{"a.rego": "package m2m.token\nimport data.m2m.scope\n"}, []string{"/a.rego:2: ", "unused"}},
		{"unsafe variable", map[string]string{"a.rego": token + "granted contains s\n"}, []string{"/a.rego:3: ", "unsafe"}},
		{"recursion", map[string]string{"a.rego": token + "granted contains \"a\" if count(rejected) == 0\nrejected contains {\"scope\": \"a\", \"reason\": \"b\"} if count(granted) == 0\n"}, []string{"/a.rego:3: ", "recursive"}},
		{"several errors", map[string]string{"a.rego": token + "ttl contains x\n", "b.rego": token + "ttl contains y\n"}, []string{"/a.rego:3: ", "/b.rego:3: "}},
		{"several syntax errors", map[string]string{"a.rego": token + "ttl contains {\n", "b.rego": token + "ttl contains {\n"}, []string{"/a.rego:", "/b.rego:"}},

		{"complete granted", map[string]string{"a.rego": token + "granted := {\"a\"}\n"}, []string{"/a.rego:3: ", "granted is a partial rule", "granted contains scope"}},
		{"default granted", map[string]string{"a.rego": token + "default granted := {\"a\"}\n"}, []string{"a.rego:3: ", "granted"}},
		{"granted as an object", map[string]string{"a.rego": token + "granted[s] := 1 if some s in [\"a\"]\n"}, []string{"a.rego:3: ", "granted contains scope"}},
		{"granted as a function", map[string]string{"a.rego": token + "granted(x) := x\n"}, []string{"a.rego:3: ", "granted contains scope"}},
		{"granted deeper", map[string]string{"a.rego": token + "granted.x contains 1\n"}, []string{"a.rego:3: ", "granted contains scope"}},
		{"claims as a set", map[string]string{"a.rego": token + "claims contains 1\n"}, []string{"a.rego:3: ", "claims[name] := value"}},
		{"complete claims", map[string]string{"a.rego": token + "claims := {\"a\": 1}\n"}, []string{"a.rego:3: ", "claims[name] := value"}},
		{"claims as functions", map[string]string{"a.rego": token + "claims.f(x) := x\n"}, []string{"a.rego:3: ", "claims[name] := value"}},
		{"complete ttl", map[string]string{"a.rego": token + "ttl := 60\n"}, []string{"a.rego:3: ", "ttl contains seconds"}},

		{"misspelt input of a request", map[string]string{"a.rego": "package m2m.request\n\ndenied contains {\"reason\": \"x\"} if input.request.methods == \"GET\"\n"}, []string{"/a.rego:3: ", `did you mean "method"?`}},
		{"complete denied", map[string]string{"a.rego": "package m2m.request\n\ndenied := true\n"}, []string{"/a.rego:3: ", "denied contains"}},
		{"misspelt denied", map[string]string{"a.rego": "package m2m.request\n\ndenyed contains {\"reason\": \"x\"}\n"}, []string{"/a.rego:3: ", `did you mean "denied"?`}},
		{"a token's rule in a request", map[string]string{"a.rego": "package m2m.request\n\nrequires contains \"x\"\n"}, []string{"/a.rego:3: ", `did you mean "required"?`}},
		{"a header in capitals", map[string]string{"a.rego": "package m2m.request\n\ndenied contains {\"reason\": \"x\"} if input.request.headers[\"X-Tenant\"] == [\"a\"]\n"}, []string{"/a.rego:3: ", `write "x-tenant"`}},
		{"a header in capitals that is got", map[string]string{"a.rego": "package m2m.request\n\ndenied contains {\"reason\": \"x\"} if {\n\tsome t in object.get(input.request.headers, \"X-Tenant\", [])\n\tt == \"a\"\n}\n"}, []string{"/a.rego:4: ", `write "x-tenant"`}},
		{"complete mask", map[string]string{"a.rego": "package m2m.log\n\nmask := {\"/input\"}\n"}, []string{"/a.rego:3: ", "mask contains"}},
		{"another package of ours", map[string]string{"a.rego": "package m2m.scope\ncovers(a, b) := true\n"}, []string{"/a.rego:1: ", "m2m.scope"}},
		{"a misspelt package of ours", map[string]string{"a.rego": "package m2m.tokens\nrejected contains 1\n"}, []string{"/a.rego:1: ", "m2m.tokens", "m2m.token"}},
		{"a package above ours", map[string]string{"a.rego": "package m2m\nscope.covers(a, b) := true\n"}, []string{"/a.rego:1: ", "package m2m "}},
		{"a package below ours", map[string]string{"a.rego": "package m2m.token.granted\nx := 1\n"}, []string{"/a.rego:1: "}},

		{"data over ours", map[string]string{"a.json": `{"m2m": {"token": {"granted": ["*"]}}}`}, []string{"/a.json: ", "m2m"}},
		{"data over ours by folder", map[string]string{"m2m/token/a.yaml": "granted: ['*']"}, []string{"a.yaml: ", "m2m"}},
		{"data over a rule", map[string]string{"a.rego": "package teams\nlead := 1\n", "teams/a.json": `{"lead": 2}`}, []string{"/a.rego:2: ", "lead"}},
		{"data that is not an object", map[string]string{"a.json": "[1]"}, []string{"/a.json:1: parsing data: the document is not an object"}},
		{"data twice", map[string]string{"a.json": `{"x": {"y": 1}}`, "b.yaml": "x: {y: 2}"}, []string{"/b.yaml: ", "data.x.y"}},

		{"empty folder", map[string]string{"readme.txt": ""}, []string{"no .rego, .json or .yaml file"}},
		{"tests alone", map[string]string{"a_test.rego": "package a\n"}, []string{"no .rego, .json or .yaml file"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(Config{Paths: []string{write(t, test.files)}})
			wantParts(t, err, test.parts...)
			for _, jargon := range []string{"rego_type_error", "rego_parse_error", "errors occurred", "__local"} {
				if strings.Contains(err.Error(), jargon) {
					t.Errorf("%q in %q", jargon, err)
				}
			}
		})
	}
}

func TestUnavailableBuiltins(t *testing.T) {
	calls := map[string]string{
		"http.send":          `http.send({"method": "get", "url": "https://example.com"}).status_code == 200`,
		"net.lookup_ip_addr": `net.lookup_ip_addr("example.com")`,
		"opa.runtime":        `opa.runtime().env`,
		"json.match_schema":  `json.match_schema({}, {"$ref": "file:///etc/hostname"})`,
		"json.verify_schema": `json.verify_schema({})`,
		"rego.parse_module":  `rego.parse_module("a.rego", "package a")`,
	}
	for name := range unavailable {
		call, ok := calls[name]
		if !ok {
			t.Errorf("%s is not tried", name)
			continue
		}
		dir := write(t, map[string]string{"a.rego": "package m2m.token\n\nttl contains 60 if {\n\t" + call + "\n}\n"})
		_, err := Load(Config{Paths: []string{dir}})
		wantParts(t, err, "/a.rego:4: "+name+" is not available")
	}
}

func TestLoadPaths(t *testing.T) {
	dir := write(t, map[string]string{"a.txt": "", "a_test.rego": "package a\n"})
	for _, name := range []string{"missing", "a.txt", "a_test.rego"} {
		_, err := Load(Config{Paths: []string{filepath.Join(dir, name)}})
		wantParts(t, err, filepath.Join(dir, name))
	}
}

func TestPackagesOfTheirOwn(t *testing.T) {
	e := loadFiles(t, map[string]string{
		"a.rego":       "package m2m.token\n\nimport data.teams\n\nttl contains teams.short if teams.nightly[input.client.id]\n",
		"teams.rego":   "package teams\n\nshort := 60\n\nanything := input.of.any.shape\n",
		"a_test.rego":  "package broken\n\nthis is not loaded\n",
		".hidden.rego": "nor this\n",
		".git/x.rego":  "nor this\n",
		"teams/d.yaml": "nightly:\n  ci-bot: true\n",
		"teams/e.json": `{"big": 12345678901234567890}`,
		"notes.md":     "nor this",
	})
	if d := decide(t, e, request(t, "book:1:read")); d.TTL.Seconds() != 60 {
		t.Errorf("got %+v", d)
	}
}

func TestDataFiles(t *testing.T) {
	e := loadFiles(t, map[string]string{
		"a.rego":          "package m2m.token\n\nclaims.data := [data.root, data.teams.a.x, data.teams.a.y, data.big]\n",
		"root.json":       `{"root": 1, "big": 12345678901234567890}`,
		"teams/a/x.yaml":  "x: 2\n",
		"teams/a/y.yml":   "y: three\n",
		"teams/same.json": `{"a": {"z": 1}}`,
	})
	got := decide(t, e, request(t, "book:1:read")).Claims["data"].([]any)
	want := []string{"1", "2", "three", "12345678901234567890"}
	for i, value := range got {
		if text, ok := value.(interface{ String() string }); ok && text.String() != want[i] || !ok && value != want[i] {
			t.Errorf("value %d: %v, want %s", i, value, want[i])
		}
	}
}

// TestConfigMap has the links of a mounted ConfigMap: each file is loaded once.
func TestConfigMap(t *testing.T) {
	dir := write(t, map[string]string{
		"..2026_01/a.rego":     "package m2m.token\n\nf(x) := x\n\nttl contains f(60)\n",
		"..2026_01/sub/d.json": `{"d": 1}`,
	})
	link(t, "..2026_01", filepath.Join(dir, "..data"))
	link(t, "..data/a.rego", filepath.Join(dir, "a.rego"))
	link(t, "..data/sub", filepath.Join(dir, "sub"))
	found, err := files.Scan([]string{dir, dir, filepath.Join(dir, "a.rego")}, false)
	if err != nil || len(found) != 2 || found[0].Path != "a.rego" || found[1].Path != "sub/d.json" {
		t.Errorf("got %+v, %v", found, err)
	}
	if d := decide(t, load(t, Config{Paths: []string{dir}, Timeout: generous}), request(t)); d.TTL.Seconds() != 60 {
		t.Errorf("got %+v", d)
	}
}

func TestCircleOfLinks(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": "package a\n", "sub/b.rego": "package b\n"})
	link(t, "..", filepath.Join(dir, "sub", "up"))
	_, err := Load(Config{Paths: []string{dir}})
	wantParts(t, err, "circle")
}

func TestDanglingLink(t *testing.T) {
	dir := write(t, map[string]string{"a.rego": "package a\n"})
	link(t, "missing.rego", filepath.Join(dir, "b.rego"))
	_, err := Load(Config{Paths: []string{dir}})
	wantParts(t, err, "b.rego")
}

func TestRevision(t *testing.T) {
	files := map[string]string{"a.rego": "package a\n", "sub/b.json": "{}"}
	first := loadFiles(t, files).Revision()
	if second := loadFiles(t, files).Revision(); second != first {
		t.Errorf("the same files are %s and %s", first, second)
	}
	seen := map[string]string{first: "first", load(t, Config{}).Revision(): "shipped"}
	others := map[string]map[string]string{
		"content": {"a.rego": "package b\n", "sub/b.json": "{}"},
		"name":    {"b.rego": "package a\n", "sub/b.json": "{}"},
		"folder":  {"a.rego": "package a\n", "b.json": "{}"},
		"fewer":   {"a.rego": "package a\n"},
	}
	for name, files := range others {
		r := loadFiles(t, files).Revision()
		if same, taken := seen[r]; taken {
			t.Errorf("%s has the revision of %s", name, same)
		}
		seen[r] = name
	}
	if r := load(t, Config{NoDefaults: true}).Revision(); seen[r] != "" {
		t.Errorf("no defaults has the revision of %s", seen[r])
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
