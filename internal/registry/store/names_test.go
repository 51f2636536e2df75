package store

import (
	"path"
	"strings"
	"testing"
)

// Ids that a file system, a storage or a URL might take for one another have keys of their own, and each key is one name.
func TestRecordNamesOfURIs(t *testing.T) {
	ids := []string{
		"https://app.example.com/x", "https://app.example.com/X", "HTTPS://app.example.com/x", "https:/app.example.com/x", "https://app.example.com//x",
		"https://app.example.com/x/", "https://app.example.com/./x", "https://app.example.com/a/../x", "urn:app", "urn=3aapp", "urn/app", "a:b", "a:b:", "A:b",
		"+a:b", "a+b", "aB", "a=2bb", ":", "::", ".:", "con:", "c:/x",
	}
	seen := make(map[string]string)
	for _, id := range ids {
		name, err := recordName(id)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		folded := strings.ToLower(path.Clean(name))
		if other, taken := seen[folded]; taken {
			t.Errorf("%s and %s are both %s", id, other, folded)
		}
		seen[folded] = id
		if folded != name || strings.ContainsAny(name, `:/\%*?"<>|`) {
			t.Errorf("%s: a storage may change %s", id, name)
		}
		if back, ok := recordID("clients/" + name); !ok || back != id {
			t.Errorf("%s comes back as %q", id, back)
		}
	}
}
