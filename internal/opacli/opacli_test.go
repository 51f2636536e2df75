package opacli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/open-policy-agent/opa/cmd"
	"github.com/open-policy-agent/opa/v1/loader/extension"
	"github.com/open-policy-agent/opa/v1/util"
	"github.com/spf13/cobra"
)

// TestAdaptationsAreOfOPA checks that the commands and flags that this package changes exist in OPA.
func TestAdaptationsAreOfOPA(t *testing.T) {
	root := cmd.Command(&cobra.Command{Use: "opa"}, "OPA")
	commands := make(map[string]*cobra.Command)
	for _, c := range root.Commands() {
		commands[c.Name()] = c
	}
	for name := range adaptations {
		if c := commands[name]; c == nil || c.PreRunE == nil || c.RunE == nil {
			t.Errorf("OPA has no %s, or it works differently", name)
		}
	}
	for name := range reasons {
		if commands[name] == nil || adaptations[name] != nil {
			t.Errorf("%s is not a command to leave out", name)
		}
	}
	for name, flags := range refused {
		for flag := range flags {
			if commands[name].Flags().Lookup(flag) == nil {
				t.Errorf("%s has no --%s", name, flag)
			}
		}
	}
	if commands["test"].Flags().Lookup("fail-on-empty") == nil {
		t.Error("test has no --fail-on-empty")
	}
	for _, flag := range []string{"capabilities", "debug", "ignore", "output", "revision", "signing-key", "signing-alg", "signing-plugin",
		"claims-file", "verification-key", "verification-key-id", "scope", "exclude-files-verify", "follow-symlinks", "bundle"} {
		if commands["build"].Flags().Lookup(flag) == nil {
			t.Errorf("build has no --%s", flag)
		}
	}
}

// TestCommandsAreKeptOrHidden fails for a new command of OPA until this package keeps it or leaves it out.
func TestCommandsAreKeptOrHidden(t *testing.T) {
	for _, c := range Commands() {
		if _, kept := adaptations[c.Name()]; kept == c.Hidden {
			t.Errorf("%s: kept is %v, hidden %v", c.Name(), kept, c.Hidden)
		}
		if c.HasParent() {
			t.Errorf("%s has a parent already", c.Name())
		}
	}
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{&cmd.ExitError{Exit: 2}, 2},
		{fmt.Errorf("running: %w", &cmd.ExitError{Exit: 3}), 3},
	} {
		if got := ExitCode(c.err); got != c.want {
			t.Errorf("ExitCode(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}

func TestEngineFilesAreTheUsersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such permissions")
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", filepath.Join(t.TempDir(), "cache"))
	s, err := writeEngineFiles()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for path, want := range map[string]os.FileMode{
		s.dir:               0o700,
		filepath.Dir(s.dir): 0o700,
		filepath.Join(s.dir, library, "scope.rego"): 0o600,
		s.capabilities(): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has permissions %o, want %o", path, got, want)
		}
	}
	again, err := writeEngineFiles()
	if err != nil || again.dir != s.dir {
		t.Errorf("another folder: %v, %v", again, err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(s.dir), ".opa-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestEngineFilesWithoutACacheAreRemoved(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("LocalAppData", "")
	s, err := writeEngineFiles()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.capabilities()); err != nil {
		t.Error(err)
	}
	s.close()
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", s.dir, err)
	}
}

// TestIgnoreMarks: OPA calls the handler also for JSON that is broken, and that of the builtin json.unmarshal.
func TestIgnoreMarks(t *testing.T) {
	ignoreMarks()
	defer extension.RegisterExtension(".json", nil)
	for text, ok := range map[string]bool{`{"a": 1}`: true, "\ufeff{\"a\": 1}": true, "": false, "x": false, `{"a": `: false, "\ufeff{} x": false, "\ufeff\ufeff{}": false} {
		var value any
		if err := util.UnmarshalJSON([]byte(text), &value); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
