package caddymodule

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sealFile is a placeholder of a file with that encryption key.
func sealFile(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	return "{file." + file + "}"
}

func TestEncryptionKeysThatAreConfigErrors(t *testing.T) {
	good := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 32)))
	t.Setenv("SHORT_KEY", good[:20])
	t.Setenv("GOOD_KEY", good)
	for name, test := range map[string]struct{ value, want string }{
		"literal":        {good, "takes placeholders"},
		"half a literal": {good[:20] + "{env.GOOD_KEY}", "takes placeholders"},
		"short":          {"{env.SHORT_KEY}", "{env.SHORT_KEY} is not the base64 of 32 bytes"},
		"no base64":      {sealFile(t, strings.Repeat("?", 44), 0o600), "is not the base64 of 32 bytes"},
		"not set":        {"{env.NO_SUCH_KEY}", "NO_SUCH_KEY"},
		"no file":        {"{file./nowhere/key}", "no such file"},
		"group reads":    {sealFile(t, good, 0o640), "others may read"},
		"others read":    {sealFile(t, good, 0o604), "others may read"},
		"others write":   {sealFile(t, good, 0o602), "others may read or change"},
	} {
		_, err := newSeal([]string{"{env.GOOD_KEY}", test.value})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), good[:20]) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	for _, mode := range []os.FileMode{0o400, 0o600} {
		if _, err := newSeal([]string{sealFile(t, good, mode)}); err != nil {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}
