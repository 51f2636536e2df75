package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestMain lets this binary be the caddy command, which scripts run.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"caddy": caddycmd.Main})
}

// TestCommands runs the sessions of testdata/script. They find a running issuer at $ISSUER, whose
// client "demo" has the secret $SECRET, one that is mistyped as $MISTYPED, and an issuer elsewhere
// at $OTHER. The metadata of $MOVED names keys at $KEYS and the token endpoint of $ISSUER; that of
// $REDIRECTED names one at $REDIRECTOR, which redirects there.
func TestCommands(t *testing.T) {
	w := newWorld(t)
	other, moved, redirected := servertest.StartIssuer(t), servertest.StartIssuer(t), servertest.StartIssuer(t)
	keys, _ := otherPort(t, moved)
	redirector, _ := otherPort(t, http.RedirectHandler(w.issuer+"/oauth2/token", http.StatusTemporaryRedirect))
	moved.Announce("jwks_uri", keys.URL+"/jwks")
	moved.Announce("token_endpoint", w.issuer+"/oauth2/token")
	redirected.Announce("token_endpoint", redirector.URL+"/token")
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ISSUER", w.issuer)
			env.Setenv("SECRET", w.secret)
			env.Setenv("MISTYPED", mistyped(w.secret))
			env.Setenv("OTHER", other.URL)
			env.Setenv("MOVED", moved.URL)
			env.Setenv("KEYS", keys.URL)
			env.Setenv("REDIRECTED", redirected.URL)
			env.Setenv("REDIRECTOR", redirector.URL)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "data"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache"))
			for name, content := range commandFiles(w, other, moved) {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(content), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"bundleholds": bundleHolds,
			"exitcode":    exitCode,
			"calls":       callsWithProof,
			"hashmatches": hashMatches,
			"spoil":       spoil,
			"bom":         addByteOrderMarks,
		},
	})
}

// commandFiles are those of a session that differ from run to run.
func commandFiles(w *world, other, moved *servertest.Issuer) map[string]string {
	private, public := newKeyPair()
	_, otherPublic := newKeyPair()
	expired := map[string]any{"client_id": "old", "exp": time.Now().Add(-time.Hour).Unix()}
	return map[string]string{
		"secret":            w.secret + "\n",
		"demo.env":          "# the demo client\nexport CLIENT_ID=demo\n\nCLIENT_SECRET=\"" + w.secret + "\"\n",
		"foreign-token":     other.Sign(other.Claims(doorAudience, "book:*:read", nil), nil) + "\n",
		"bound-token":       other.Sign(other.Claims(doorAudience, "book:*:read", map[string]any{"cnf": map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}), nil) + "\n",
		"unreachable-token": other.Sign(other.Claims(doorAudience, "book:*:read", map[string]any{"iss": "http://127.0.0.1:1"}), nil) + "\n",
		"moved-token":       moved.Sign(moved.Claims(doorAudience, "book:*:read", nil), nil) + "\n",
		"expired":           other.Sign(other.Claims(doorAudience, "book:*:read", expired), nil),
		"key.pem":           string(private),
		"public.pem":        string(public),
		"other.pem":         string(otherPublic),
	}
}

// mistyped is a secret with one character that is another.
func mistyped(secret string) string {
	middle := len(secret) / 2
	other := "x"
	if secret[middle] == 'x' {
		other = "y"
	}
	return secret[:middle] + other + secret[middle+1:]
}

// hashMatches takes the JSON of `m2m secret new` and holds its two members against one another.
func hashMatches(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hashmatches file")
	}
	var made struct{ Secret, SHA256 string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &made))
	ts.Check(registry.CheckSecret(made.Secret))
	if registry.HashSecret(made.Secret) != made.SHA256 {
		ts.Fatalf("%s is not the hash of %s", made.SHA256, made.Secret)
	}
}

// callsWithProof sends a GET with the token and the DPoP proof in two files, and compares the status of the answer.
func callsWithProof(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: calls url token proof status")
	}
	r, err := http.NewRequest(http.MethodGet, args[0], nil)
	ts.Check(err)
	r.Header.Set("Authorization", "DPoP "+strings.TrimSpace(ts.ReadFile(args[1])))
	r.Header.Set("DPoP", strings.TrimSpace(ts.ReadFile(args[2])))
	answer, err := http.DefaultClient.Do(r)
	ts.Check(err)
	ts.Check(answer.Body.Close())
	if got := strconv.Itoa(answer.StatusCode); got != args[3] {
		ts.Fatalf("the answer is %s, want %s: %v", got, args[3], answer.Header["Www-Authenticate"])
	}
}

// addByteOrderMarks puts a byte order mark before files.
func addByteOrderMarks(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		content := ts.ReadFile(name)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte("\ufeff"+content), 0o600))
	}
}
