package bundle_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
	"github.com/caddy-m2m/caddy-m2m/policy/files"
)

func bundleFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle.tar.gz")
	replaceBundle(t, path, content)
	return path
}

// replaceBundle renames a new file over the old one, as it should be done.
func replaceBundle(t *testing.T, path string, content []byte) {
	t.Helper()
	put(t, path+".new", string(content))
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func TestBundleFile(t *testing.T) {
	file := bundleFile(t, ttlBundle(t, "v1", 60))
	e := load(t, policy.Config{Bundle: &bundle.Config{Location: file}, Timeout: generous})
	wantTTL(t, e, 60)
	if !regexp.MustCompile(`^v1@[0-9a-f]{16}$`).MatchString(e.Revision()) {
		t.Errorf("revision %q", e.Revision())
	}
	if d := decide(t, e, request(t, "book:1:read")); d.Revision != e.Revision() {
		t.Errorf("the decision is by %q", d.Revision)
	}
	reload(t, e, false)

	replaceBundle(t, file, ttlBundle(t, "v2", 61))
	reload(t, e, true)
	reload(t, e, false)
	wantTTL(t, e, 61)

	replaceBundle(t, file, []byte("<html>"))
	_, err := e.Reload()
	wantParts(t, err, "bundle "+file+": it is not a gzipped tar archive")
	reload(t, e, false)
	wantTTL(t, e, 61)
	if s := e.Status(); s.Healthy || s.Err == nil || s.Source != policy.FromBundle || s.Where[0] != file || !strings.HasPrefix(s.Revision, "v2@") {
		t.Errorf("status %+v", s)
	}

	replaceBundle(t, file, pack(t, map[string]string{"/ttl.rego": "package m2m.token\n\nttl contains x\n"}))
	_, err = e.Reload()
	wantParts(t, err, file, "ttl.rego:3: ")
	reload(t, e, false)

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	_, err = e.Reload()
	wantParts(t, err, file)
	replaceBundle(t, file, ttlBundle(t, "v2", 61))
	reload(t, e, false)
	if s := e.Status(); !s.Healthy || s.Err != nil {
		t.Errorf("status %+v", s)
	}
}

// TestBundleIsAsAFolder has the same files in both.
func TestBundleIsAsAFolder(t *testing.T) {
	files := map[string]string{
		"a.rego":           "package m2m.token\n\nclaims.lead := data.teams.lead\n\nttl contains data.short\n",
		"teams/data.yaml":  "lead: ci-bot\n",
		"data.json":        `{"short": 60}`,
		"a_test.rego":      "package a_test\n\nthis_is if not loaded\n",
		".regal/data.yaml": "rules: {}\n",
		"README.md":        "not loaded",
	}
	for _, prefix := range []string{"", "/", "./"} {
		named := make(map[string]string)
		for name, content := range files {
			named[prefix+name] = content
		}
		e := load(t, policy.Config{Bundle: &bundle.Config{Location: bundleFile(t, pack(t, named))}, Timeout: generous})
		if d := decide(t, e, request(t, "book:1:read")); d.TTL != time.Minute || d.Claims["lead"] != "ci-bot" {
			t.Errorf("with %q: got %+v", prefix, d)
		}
	}
}

func TestBundleRefusals(t *testing.T) {
	const token = "package m2m.token\n\n"
	good := map[string]string{"/a.rego": token + "ttl contains 60\n"}
	with := func(name, content string) []byte {
		return pack(t, map[string]string{"/a.rego": good["/a.rego"], name: content})
	}
	ours, other := newSigner(t), newSigner(t)
	signed := ours.sign(t, "", good, nil)
	large := func(name string) []byte {
		header := zipped(t, beginning(t, tar.Header{Name: name, Size: files.MaxBytes + 1}))
		return append(header, repeated(t, make([]byte, 1<<20), 65)...)
	}
	tests := map[string]struct {
		content []byte
		keys    []bundle.Key
		scope   string
		parts   []string
	}{
		"nothing":            {nil, nil, "", []string{"it is not a gzipped tar archive"}},
		"a page":             {[]byte("<html></html>"), nil, "", []string{"it is not a gzipped tar archive"}},
		"no tar":             {zipped(t, bytes.Repeat([]byte("<html>"), 1000)), nil, "", []string{"it is not a gzipped tar archive"}},
		"truncated":          {signed[:len(signed)-20], nil, "", []string{"truncated"}},
		"flipped":            {flip(signed), nil, "", []string{"the archive is damaged"}},
		"empty":              {pack(t, nil), nil, "", []string{"no .rego file and no data"}},
		"large":              {large("/data.json"), nil, "", []string{"more than 64 MiB"}},
		"large and ignored":  {large("/notes.txt"), nil, "", []string{"more than 64 MiB"}},
		"large in the names": {manyLongNames(t), nil, "", []string{"more than 64 MiB"}},
		"many files":         {manyFiles(t), nil, "", []string{"more than 10000 files"}},
		"out of it":          {with("../a.rego", token), nil, "", []string{`"../a.rego" leads out of the bundle`}},
		"out of it later":    {with("/b/../../a.rego", token), nil, "", []string{"leads out of the bundle"}},
		"a backslash":        {with(`b\..\a.rego`, token), nil, "", []string{"backslash"}},
		"twice":              {with("./a.rego", token), nil, "", []string{`"a.rego" is in it twice`}},
		"a link": {packEntries(t, func(w *tar.Writer) {
			entry(t, w, tar.Header{Name: "a.rego", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, "")
		}), nil, "", []string{`"a.rego" is not a regular file`}},
		"a device": {packEntries(t, func(w *tar.Writer) {
			entry(t, w, tar.Header{Name: "a.rego", Typeflag: tar.TypeChar}, "")
		}), nil, "", []string{`"a.rego" is not a regular file`}},

		"WebAssembly":         {with("/policy.wasm", "\x00asm"), nil, "", []string{"policy.wasm is for another engine"}},
		"a plan":              {with("/plan.json", "{}"), nil, "", []string{"plan.json is for another engine"}},
		"a delta":             {pack(t, map[string]string{"/patch.json": `{"data": [{"op": "upsert", "path": "/x", "value": 1}]}`}), nil, "", []string{"patch.json is a delta"}},
		"data of other names": {with("/teams/roles.yaml", "a: 1"), nil, "", []string{"teams/roles.yaml would not be read", "data.json or data.yaml"}},
		"rego outside roots":  {with("/.manifest", `{"roots": ["teams"]}`), nil, "", []string{"roots [teams] do not permit", "m2m.token"}},
		"data outside roots": {pack(t, map[string]string{"/a.rego": token, "/data.json": `{"x": 1}`, "/.manifest": `{"roots": ["m2m/token"]}`}), nil, "",
			[]string{"do not permit data at path '/x'"}},
		"overlapping roots":      {with("/.manifest", `{"roots": ["a", "a/b"]}`), nil, "", []string{"overlapped roots"}},
		"a broken manifest":      {with("/.manifest", `{`), nil, "", []string{"manifest"}},
		"two manifests":          {pack(t, map[string]string{"/.manifest": "{}", "/x/.manifest": "{}", "/a.rego": token}), nil, "", []string{"multiple manifest"}},
		"a revision of lines":    {with("/.manifest", `{"revision": "v1\nv2"}`), nil, "", []string{"revision", "control characters"}},
		"a long revision":        {with("/.manifest", `{"revision": "`+strings.Repeat("v", 129)+`"}`), nil, "", []string{"more than 128 bytes"}},
		"a manifest of wasm":     {with("/.manifest", `{"wasm": [{"entrypoint": "m2m/token", "module": "/policy.wasm"}]}`), nil, "", []string{"wasm"}},
		"syntax":                 {with("/b.rego", token+"ttl contains {\n"), nil, "", []string{"/b.rego:"}},
		"old syntax":             {pack(t, map[string]string{"/a.rego": token + "ttl[60] { true }\n", "/.manifest": `{"rego_version": 0}`}), nil, "", []string{"a.rego:3: "}},
		"misspelt input":         {with("/b.rego", token+"ttl contains 60 if input.client.idd\n"), nil, "", []string{"b.rego:3: ", `did you mean "id"?`}},
		"another package of m2m": {with("/b.rego", "package m2m.scope\n"), nil, "", []string{"b.rego:1: ", "m2m.scope"}},
		"data of m2m":            {with("/m2m/data.json", `{"x": 1}`), nil, "", []string{"m2m/data.json: data.m2m belongs to"}},
		"data with a key twice":  {with("/data.json", `{"deny": 1, "deny": 2}`), nil, "", []string{"data.json:1: ", `key "deny" is repeated`}},

		"signed, and no key":   {signed, nil, "", []string{"it is signed, and no key is configured"}},
		"not signed":           {pack(t, good), ours.keys(), "", []string{"it is not signed", ".signatures.json"}},
		"no signature in it":   {with("/.signatures.json", `{}`), ours.keys(), "", []string{"it is not signed"}},
		"no signatures in it":  {with("/.signatures.json", `{"signatures": []}`), ours.keys(), "", []string{"the signature is not good", "missing JWT"}},
		"a broken signature":   {with("/.signatures.json", `{"signatures": ["a.b.c"]}`), ours.keys(), "", []string{"refused"}},
		"a verifier of others": {with("/.signatures.json", `{"plugin": "theirs", "signatures": ["a.b.c"]}`), ours.keys(), "", []string{"no verifier exists"}},
		"another key":          {other.sign(t, "", good, nil), ours.keys(), "", []string{"the signature is not good"}},
		"another key's name":   {signWith(t, ours.private, "ES256", "old", "", good, nil), append(ours.keys(), bundle.Key{ID: "new", Material: other.public}), "", []string{"the signature is not good", "old"}},
		"HMAC with the public key": {signWith(t, ours.public, "HS256", "ci", "", good, nil), ours.keys(), "",
			[]string{"the signature is not good"}},
		"another scope":   {ours.sign(t, "test", good, nil), ours.keys(), "live", []string{"the signature is not good", "scope mismatch"}},
		"no scope":        {signed, ours.keys(), "live", []string{"scope mismatch"}},
		"a file too many": {ours.sign(t, "", good, map[string]string{"/b.rego": "package b\n"}), ours.keys(), "", []string{"b.rego not included in bundle signature"}},
		"a changed file":  {ours.sign(t, "", good, map[string]string{"/a.rego": token + "ttl contains 61\n"}), ours.keys(), "", []string{"a.rego: digest mismatch"}},
		"a manifest that is not signed": {ours.sign(t, "", good, map[string]string{"/.manifest": `{"revision": "v9"}`}), ours.keys(), "",
			[]string{".manifest not included"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := bundleFile(t, test.content)
			_, err := policy.Load(policy.Config{Bundle: &bundle.Config{Location: file, Keys: test.keys, Scope: test.scope}})
			if test.parts[0] == "refused" {
				test.parts = nil
			}
			wantParts(t, err, append(test.parts, file)...)
			if len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// flip spoils the checksum at the end.
func flip(content []byte) []byte {
	flipped := bytes.Clone(content)
	flipped[len(flipped)-8] ^= 0xff
	return flipped
}

func manyFiles(t *testing.T) []byte {
	return packEntries(t, func(w *tar.Writer) {
		for n := range files.MaxCount + 1 {
			entry(t, w, tar.Header{Name: fmt.Sprintf("%d.txt", n), Mode: 0o600}, "")
		}
	})
}

// manyLongNames has a bomb beside the files: in what tar says of them.
func manyLongNames(t *testing.T) []byte {
	remark := map[string]string{"comment": strings.Repeat("a", 1<<20-1024)}
	return repeated(t, beginning(t, tar.Header{Name: "remark", Typeflag: tar.TypeXGlobalHeader, PAXRecords: remark}), 120)
}

func TestSignedBundle(t *testing.T) {
	files := map[string]string{"/a.rego": ttlFile(60), "/data.json": `{"b": 1, "a": [1.5]}`, "/.manifest": `{"revision": "v1"}`}
	s := newSigner(t)
	load(t, policy.Config{Bundle: &bundle.Config{Location: bundleFile(t, s.sign(t, "live", files, nil)), Keys: s.keys(), Scope: "live"}})
	for _, id := range []string{"old", ""} {
		signed := signWith(t, s.private, "ES256", id, "", files, nil)
		load(t, policy.Config{Bundle: &bundle.Config{Location: bundleFile(t, signed), Keys: s.keys()}})
	}
	secret := strings.Repeat("s", 32)
	key := bundle.Key{ID: "hmac", Material: secret, Algorithm: "HS256"}
	signed := signWith(t, secret, "HS256", "hmac", "", files, nil)
	load(t, policy.Config{Bundle: &bundle.Config{Location: bundleFile(t, signed), Keys: append(s.keys(), key)}})
}

func TestBundleAndPaths(t *testing.T) {
	_, err := policy.Load(policy.Config{Paths: []string{t.TempDir()}, Bundle: &bundle.Config{Location: bundleFile(t, nil)}})
	wantParts(t, err, "not of both")
	_, err = policy.Load(policy.Config{Bundle: &bundle.Config{Location: t.TempDir()}})
	wantParts(t, err, "it is not a regular file")
}

// FuzzBundle has whatever a server may send: it is refused or read, within bounds, and never a panic.
func FuzzBundle(f *testing.F) {
	f.Add(ttlBundle(f, "v1", 60))
	f.Add(newSigner(f).sign(f, "", map[string]string{"/a.rego": "package a\n", "/data.json": "{}"}, nil))
	f.Add(pack(f, map[string]string{"../a.rego": "package a\n"}))
	f.Add([]byte("<html>"))
	keys, err := bundle.Verification(newSigner(f).keys(), "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		// the archive's content is what is of interest, and random bytes are hardly ever gzipped
		for _, compressed := range [][]byte{content, zipped(t, content)} {
			if b, err := bundle.Read(compressed, keys); err == nil {
				t.Errorf("taken without a good signature: %d files", len(b.Files))
			}
			b, err := bundle.Read(compressed, nil)
			if err != nil {
				continue
			}
			for _, s := range b.Files {
				if strings.Contains("/"+s.Path+"/", "/../") || strings.HasPrefix(s.Path, "/") || strings.HasPrefix(s.Name, "shipped://") {
					t.Errorf("a file is called %q", s.Path)
				}
			}
		}
	})
}

// TestTooMuchTakesLittleMemory has more values or Rego than there may be: that is refused before OPA parses it.
func TestTooMuchTakesLittleMemory(t *testing.T) {
	many := func(n int) string { return "[" + strings.Repeat("{},", n-1) + "{}]" }
	json := `{"big":` + many(3_000_000) + `}`
	rego := "package b\n\nb := " + many(700_000)
	for name, test := range map[string]struct {
		file, content, want string
		bound               uint64 // MiB
	}{
		"JSON":       {"/data.json", json, "data.json:1: parsing data: more than 1000000", 100},
		"YAML":       {"/x/data.yaml", json + " # no JSON", "x/data.yaml:1: parsing data: more than 1000000", 100},
		"hidden":     {"/.x/data.json", json, ".x/data.json:1: parsing data: more than 1000000", 100},
		"a manifest": {"/.manifest", `{"metadata": ` + json + `}`, ".manifest has more than 4 MiB", 100},
		"claims":     {"/.signatures.json", json, ".signatures.json has more than 4 MiB", 100},
		"Rego":       {"/.x/b.rego", rego, "the .rego files have more than 2 MiB", 20},
	} {
		t.Run(name, func(t *testing.T) {
			content := pack(t, map[string]string{"/a.rego": "package m2m.token\n", test.file: test.content})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := bundle.Read(content, nil)
			runtime.ReadMemStats(&after)
			wantParts(t, err, test.want)
			if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > test.bound {
				t.Errorf("%d MiB were allocated, more than %d", mib, test.bound)
			}
		})
	}
}
