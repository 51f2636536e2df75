package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestAdministration runs the sessions of testdata/admin: each with a server of its own, in a process
// of its own, whose registry is empty. The script starts it with "caddy run", and stops it with "kill".
// Issuers are at $ISSUER and $ISSUER2, whose addresses are $SITE and $SITE2, and admin endpoints at $ADMIN and
// $ADMIN2; at $BREAKING is a server that breaks off.
func TestAdministration(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "admin"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"", "2"} {
				issuer, admin := servertest.FreeURL(t), strings.TrimPrefix(servertest.FreeURL(t), "http://")
				env.Setenv("ISSUER"+name, issuer)
				env.Setenv("ADMIN"+name, admin)
				env.Setenv("SITE"+name, strings.TrimPrefix(issuer, "http://"))
				config := fmt.Sprintf("{\n\tadmin %s\n\tpersist_config off\n\tlog {\n\t\toutput discard\n\t}\n\tm2m {\n\t\tissuer %s {\n\t\t\tpolicy {\n\t\t\t\ttimeout 20s\n\t\t\t}\n\t\t}\n\t}\n}\n%s {\n\tm2m_issuer\n\tm2m_auth /books/* {\n\t\trequire GET /books/{id} book:{id}:read\n\t}\n\trespond /books/* `{\"client\":\"{http.request.header.X-Client-Id}\"}`\n}\n", admin, issuer, issuer)
				if err := os.WriteFile(filepath.Join(env.WorkDir, "Caddyfile"+name), []byte(config), 0o600); err != nil {
					return err
				}
			}
			private, public := newKeyPair()
			_, otherPublic := newKeyPair()
			for name, content := range map[string][]byte{"key.pem": private, "public.pem": public, "other.pem": otherPublic} {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), content, 0o600); err != nil {
					return err
				}
			}
			env.Setenv("BREAKING", breakingOff(t))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "data"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"up": waitUntilUp, "secretof": writeSecret, "exits": exits, "until": until},
	})
}

// breakingOff is the address of a server that ends every connection once it has been asked something.
func breakingOff(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = connection.Read(make([]byte, 4096))
			_ = connection.Close()
		}
	}()
	return listener.Addr().String()
}

// waitUntilUp waits for a server to answer: up ADDRESS.
func waitUntilUp(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := ts.Exec("caddy", "m2m", "client", "list", "--address", args[0])
		if err == nil || err.Error() == "exit status 1" { // it may refuse, as long as it is there
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the server at %s does not answer: %v", args[0], err)
		}
	}
}

// writeSecret writes the client_secret of an answer as a file: secretof JSON FILE.
func writeSecret(ts *testscript.TestScript, _ bool, args []string) {
	var made struct {
		ClientSecret string `json:"client_secret"`
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &made))
	if made.ClientSecret == "" {
		ts.Fatalf("%s has no client_secret", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(made.ClientSecret), 0o600))
}

// exits runs a command that must end with an exit code: exits CODE COMMAND...
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		if _, scanErr := fmt.Sscanf(err.Error(), "exit status %d", &code); scanErr != nil {
			ts.Fatalf("%v: %v", args, err)
		}
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("%v ends with exit code %d", args[1:], code)
	}
}

// until runs a command again and again until it prints what matches: until REGEXP COMMAND... Whether it
// fails does not matter.
func until(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		_ = ts.Exec(args[1], args[2:]...)
		printed := ts.ReadFile("stdout")
		if pattern.MatchString(printed) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v does not print %s, but %s", args[1:], args[0], printed)
		}
	}
}
