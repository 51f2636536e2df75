package policy

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/policy/files"
	"github.com/open-policy-agent/opa/v1/ast"
)

// OPA's tools are to know what the engine knows, and nothing more.
func TestCapabilitiesJSONIsWhatTheEngineHas(t *testing.T) {
	text, err := CapabilitiesJSON()
	if err != nil {
		t.Fatal(err)
	}
	read, err := ast.LoadCapabilitiesJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	names := func(c *ast.Capabilities) []string {
		var names []string
		for _, b := range c.Builtins {
			names = append(names, b.Name+" "+b.Decl.String())
		}
		return slices.Sorted(slices.Values(names))
	}
	if got, want := names(read), names(capabilities()); !slices.Equal(got, want) {
		t.Errorf("builtins differ: %d and %d", len(got), len(want))
	}
	if read.AllowNet == nil || len(read.AllowNet) != 0 {
		t.Errorf("allow_net is %v: every host could be asked for a schema", read.AllowNet)
	}
	if !reflect.DeepEqual(read.Features, capabilities().Features) {
		t.Errorf("features differ: %v", read.Features)
	}
	for _, name := range slices.Sorted(maps.Keys(unavailable)) {
		if strings.Contains(string(text), `"`+name+`"`) {
			t.Errorf("%s is there", name)
		}
	}
}

func TestCandidateCheck(t *testing.T) {
	const good = "package m2m.token\n\nimport data.m2m.scope\n\n" +
		"granted contains s.raw if {\n\tsome s in input.scopes\n\tscope.covers(s, s)\n}\n"
	const complete = "package m2m.token\n\ngranted := {\"book:1:read\"}\n"
	cases := map[string]struct {
		files map[string]string
		paths []string
		check Candidate
		want  string // none: it is good
	}{
		"good":              {files: map[string]string{"a.rego": good}},
		"not partial":       {files: map[string]string{"a.rego": complete}, want: "a.rego:3: granted is a partial rule"},
		"ignored":           {files: map[string]string{"a.rego": complete}, check: Candidate{Ignore: []string{"a.*"}}},
		"ignored folder":    {files: map[string]string{"wip/a.rego": complete}, check: Candidate{Ignore: []string{"wip"}}},
		"hidden":            {files: map[string]string{".wip/a.rego": complete, "b.rego": good}},
		"repeated key":      {files: map[string]string{"d.yaml": "a: 1\na: 2\n"}, want: `d.yaml:2: parsing data: key "a" is repeated`},
		"tests alone":       {files: map[string]string{"a_test.rego": "package a_test\n"}},
		"a test by its own": {files: map[string]string{"a_test.rego": "package a_test\n"}, paths: []string{"a_test.rego"}},
		"nothing":           {want: "no .rego, .json or .yaml file in "},
		"nothing of ours":   {files: map[string]string{"a.txt": "a", ".b.rego": good}, want: "no .rego, .json or .yaml file in "},
		"missing":           {paths: []string{"nowhere"}, want: "no such file or directory"},
		"file":              {check: Candidate{Files: []files.File{{Name: "b.tar.gz/a.rego", Path: "/a.rego", Content: []byte(complete)}}}, want: "b.tar.gz/a.rego:3: granted is a partial"},
		"test file":         {check: Candidate{Files: []files.File{{Name: "a", Path: "/a_test.rego", Content: []byte(complete)}}}},
		"data in a folder": {
			check: Candidate{Files: []files.File{{Name: "a", Path: "/m2m/data.json", Content: []byte(`{"x": 1}`)}}},
			want:  "data.m2m belongs to the packages that ship",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range c.files {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if c.paths == nil && c.check.Files == nil {
				c.paths = []string{"."}
			}
			for _, path := range c.paths {
				c.check.Paths = append(c.check.Paths, filepath.Join(dir, path))
			}
			err := c.check.Check()
			if c.want == "" && err != nil {
				t.Errorf("got %v", err)
			}
			if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
