package caddymodule_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// devProcess is a `caddy m2m dev`. Its folder holds its home, its temporary files and, as files,
// what it says.
type devProcess struct {
	t                     *testing.T
	cmd                   *exec.Cmd
	folder, issuer, admin string
}

// newDev is one that does not run yet.
func newDev(t *testing.T, listen, admin string, args ...string) *devProcess {
	t.Helper()
	d := &devProcess{t: t, folder: t.TempDir(), admin: admin}
	d.issuer = "http://localhost:" + listen[strings.LastIndex(listen, ":")+1:]
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // one that should have failed must not run on
	t.Cleanup(cancel)
	d.cmd = exec.CommandContext(ctx, "caddy", append([]string{"m2m", "dev", "--listen", listen, "--admin", admin}, args...)...)
	d.cmd.Env = append(os.Environ(), "HOME="+d.make("home"), "TMPDIR="+d.make("tmp"), "XDG_DATA_HOME=", "XDG_CONFIG_HOME=")
	d.cmd.Stdout, d.cmd.Stderr = d.create("out"), d.create("err")
	return d
}

// startDev runs one until it says what to do next, and ends it when the test ends.
func startDev(t *testing.T, args ...string) *devProcess {
	t.Helper()
	return startDevOn(t, servertest.FreePort(t), args...)
}

func startDevOn(t *testing.T, port int, args ...string) *devProcess {
	t.Helper()
	d := newDev(t, fmt.Sprintf("127.0.0.1:%d", port), freeAddress(t), args...)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.end()
		if t.Failed() {
			t.Logf("its log:\n%s", d.read("err"))
		}
	})
	servertest.Eventually(t, "it says what to do next", func() bool { return strings.Contains(d.read("out"), "m2m grant add") })
	return d
}

func (d *devProcess) end() {
	if d.cmd.ProcessState == nil {
		_ = d.cmd.Process.Signal(os.Interrupt)
		_ = d.cmd.Wait()
	}
}

func (d *devProcess) make(name string) string {
	path := filepath.Join(d.folder, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		d.t.Fatal(err)
	}
	return path
}

func (d *devProcess) create(name string) *os.File {
	file, err := os.Create(filepath.Join(d.folder, name))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { file.Close() })
	return file
}

func (d *devProcess) read(name string) string { return d.readFile(filepath.Join(d.folder, name)) }

func (d *devProcess) readFile(path string) string {
	d.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(content)
}

// lines are those that are to be typed.
func (d *devProcess) lines() string {
	var lines strings.Builder
	for line := range strings.Lines(d.read("out")) {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") {
			lines.WriteString(line)
		}
	}
	_, typed, _ := strings.Cut(lines.String(), "\n  . ")
	return "  . " + typed
}

// shell runs lines and returns what they say.
func (d *devProcess) shell(lines string) string {
	d.t.Helper()
	cmd := exec.Command("sh", "-euc", lines)
	cmd.Env = append(os.Environ(), "HOME="+filepath.Join(d.folder, "home"))
	output, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s: %v\n%s", lines, err, output)
	}
	return string(output)
}

// state is a path in the folder of the state, as the first line to be typed names it.
func (d *devProcess) state(elem ...string) string {
	d.t.Helper()
	_, rest, _ := strings.Cut(d.read("out"), "\n  . '")
	file, _, found := strings.Cut(rest, "'\n")
	if !found {
		d.t.Fatalf("no line reads demo.env:\n%s", d.read("out"))
	}
	return filepath.Join(append([]string{filepath.Dir(file)}, elem...)...)
}

// edit changes the starter policy.
func (d *devProcess) edit(old, new string) {
	d.t.Helper()
	path := d.state("policy", "token.rego")
	content := d.readFile(path)
	edited := strings.Replace(content, old, new, 1)
	if edited == content {
		d.t.Fatalf("the policy has no %q", old)
	}
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// isEmpty fails for folders with anything in them.
func (d *devProcess) isEmpty(names ...string) {
	d.t.Helper()
	for _, name := range names {
		entries, err := os.ReadDir(filepath.Join(d.folder, name))
		if err != nil || len(entries) > 0 {
			d.t.Errorf("in %s there is %v, %v", name, entries, err)
		}
	}
}
