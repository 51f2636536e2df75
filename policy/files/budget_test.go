package files

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// many is a list of n values, as JSON and YAML have it.
func many(n int) string { return "[" + strings.Repeat("{},", n-1) + "{}]" }

func TestDataBounds(t *testing.T) {
	half := `{"%s": ` + many(maxValues/2) + `}`
	deep := func(n int) string { return `{"a": ` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}` }
	for name, test := range map[string]struct {
		files map[string]string
		want  string // "" is none
	}{
		"values of JSON":            {map[string]string{"a.json": "{\n\"a\":" + many(maxValues) + "}"}, "a.json:2: parsing data: more than 1000000 values and keys"},
		"as many as there may be":   {map[string]string{"a.json": `{"a":` + many(maxValues-3) + "}"}, ""},
		"keys of JSON":              {map[string]string{"a.json": keys(maxValues/2 + 1)}, "a.json:1: parsing data: more than 1000000 values and keys"},
		"values of two files":       {map[string]string{"a.json": fmt.Sprintf(half, "a"), "b.json": fmt.Sprintf(half, "b"), "c.json": "{}"}, "b.json:1: parsing data: more than 1000000"},
		"values of JSON in YAML":    {map[string]string{"a.yaml": `{"a": ` + many(maxValues) + `}`}, "a.yaml:1: parsing data: more than 1000000"},
		"values of a YAML list":     {map[string]string{"a.yaml": "a:\n" + strings.Repeat("-\n", maxValues)}, "a.yaml:1: parsing data: more than 1000000"},
		"values of a YAML flow":     {map[string]string{"a.yaml": "a: " + many(maxValues) + " # not JSON"}, "a.yaml:1: parsing data: more than 1000000"},
		"values of aliases":         {map[string]string{"a.yaml": "a: &a [x, x]\n" + laughs(20)}, "parsing data: more than 1000000"},
		"text of aliases":           {map[string]string{"a.yaml": "a: &a " + strings.Repeat("x", 1<<20) + "\nb: [" + strings.Repeat("*a, ", 100) + "]\n"}, "a.yaml:2: parsing data: the data have more than 64 MiB"},
		"an alias within its value": {map[string]string{"a.yaml": "a: &a [*a]\n"}, "a.yaml:1: parsing data: objects and lists are nested more than 100 deep"},
		"depth of JSON":             {map[string]string{"a.json": deep(maxNesting + 1)}, "a.json:1: parsing data: objects and lists are nested more than 100 deep"},
		"as deep as it may be":      {map[string]string{"a.json": deep(maxNesting), "b.yaml": "b: " + strings.Repeat("[", maxNesting-1) + strings.Repeat("]", maxNesting-1)}, ""},
		"depth of YAML":             {map[string]string{"a.yaml": "a:\n " + strings.Repeat("- ", maxNesting) + "x\n"}, "a.yaml:2: parsing data: objects and lists are nested more than 100 deep"},
	} {
		t.Run(name, func(t *testing.T) {
			err := load(write(t, test.files))
			if test.want != "" {
				wantParts(t, err, test.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func keys(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, `,"%d":0`, i)
	}
	return "{" + text.String()[1:] + "}"
}

// laughs are lists of two of the list before.
func laughs(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "%c: &%[1]c [*%c, *%[2]c]\n", 'b'+i, 'a'+i)
	}
	return text.String()
}

// What is too much is refused before it is built. The two differ by a factor of ten in memory.
func TestTooMuchTakesLittleMemory(t *testing.T) {
	json := `{"big":` + many(3_000_000) + `}`
	rego := "package b\n\nb := " + many(maxRego/3)
	regoFolder := write(t, map[string]string{"a/b.rego": rego, "b/b.rego": rego})
	sparse := filepath.Join(t.TempDir(), "sparse.json")
	put(t, sparse, "{}")
	if err := os.Truncate(sparse, 300<<20); err != nil {
		t.Fatal(err)
	}
	file := func(name, content string) func() error {
		return func() error {
			_, err := Data([]File{{Name: name, Path: name, Content: []byte(content)}})
			return err
		}
	}
	for name, test := range map[string]struct {
		do    func() error
		want  string
		bound uint64 // MiB
	}{
		"JSON":         {file("a.json", json), "more than 1000000", 10},
		"YAML":         {file("a.yaml", json+" # not JSON"), "more than 1000000", 10},
		"Rego":         {func() error { return load(regoFolder) }, "the .rego files have more than 2 MiB", 20},
		"a large file": {func() error { return load(sparse) }, "the files have more than 64 MiB", 10},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := test.do()
			runtime.ReadMemStats(&after)
			wantParts(t, err, test.want)
			if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > test.bound {
				t.Errorf("%d MiB were allocated, more than %d", mib, test.bound)
			}
		})
	}
}

// load reads the files of a path and their data.
func load(path string) error {
	found, err := Scan([]string{path}, false)
	if err == nil {
		err = Read(found)
	}
	if err == nil {
		_, err = Data(found)
	}
	return err
}

// write puts files into a new folder, and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		put(t, filepath.Join(dir, name), content)
	}
	return dir
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantParts(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not have %q", err, part)
		}
	}
}
