package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestDevLines runs the commands that `caddy m2m dev` prints.
func TestDevLines(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	dev := startDev(t)
	token, request, found := strings.Cut(dev.lines(), "  TOKEN=")
	if !found {
		t.Fatalf("no line asks for a token:\n%s", dev.read("out"))
	}
	request, _, _ = strings.Cut(request, "m2m client list")
	request = request[:strings.LastIndex(request, "\n")]

	if got := dev.shell(token); !strings.Contains(got, `"scope":"book:*:read","rejected_scope":"book:*:edit"`) {
		t.Errorf("a token: %s", got)
	}
	want := `(?s)HTTP/1.1 200 .*"client":"demo","scope":"book:\*:read","authorization":""}.*HTTP/1.1 403 .*"scope":"book:1:edit".*HTTP/1.1 401 `
	if got := dev.shell("  TOKEN=" + request); !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("requests: %s", got)
	}
}

// TestDevAdministration runs the printed commands, and then edits the policy.
func TestDevAdministration(t *testing.T) {
	dev := startDev(t)
	var commands []string
	for line := range strings.Lines(dev.lines()) {
		if strings.Contains(line, "m2m client list") || strings.Contains(line, "m2m grant add") {
			commands = append(commands, line)
		}
	}
	if len(commands) != 2 {
		t.Fatalf("%d commands:\n%s", len(commands), dev.read("out"))
	}
	if got := dev.shell(commands[0]); !strings.Contains(got, "demo") {
		t.Errorf("client list: %s", got)
	}
	dev.shell(commands[1])
	if got := dev.ask("book:*:read book:*:edit"); got.Rejected != "" {
		t.Errorf("after the grant %q is rejected", got.Rejected)
	}
	dev.edit("frozen := false", "frozen := true")
	servertest.Eventually(t, "the catalogue is frozen", func() bool {
		return dev.ask("book:*:read book:*:edit").Rejected == "book:*:edit"
	})
}

// TestDevDecisions reads decisions as a person does, and as a program.
func TestDevDecisions(t *testing.T) {
	dev := startDev(t)
	dev.ask("book:*:read book:*:edit")
	short := regexp.MustCompile(`(?m)^..:..:..\tINFO\tm2m.decisions\ttoken decision\t{"client_id": "demo", "result": {"granted": \["book:\*:read"\], ` +
		`"rejected": \[{"scope": "book:\*:edit", "reason": "no grant covers it"}\], "ttl": 300, .*}$`)
	servertest.Eventually(t, "the decision is logged in short", func() bool { return short.MatchString(dev.read("err")) })
	servertest.Eventually(t, "and as a whole", func() bool {
		whole, err := os.ReadFile(dev.state("decisions.json"))
		return err == nil && strings.Contains(string(whole), `"input":{"issuer":`)
	})
	mode(t, dev.state("decisions.json"), 0o600)
}

func TestDevPolicyEdited(t *testing.T) {
	dev := startDev(t)
	if got := dev.ask("book:*:read").ExpiresIn; got != 300 {
		t.Fatalf("a token lasts %d s, not 300", got)
	}
	dev.edit("ttl contains 300", "ttl contains 60")
	servertest.Eventually(t, "tokens last 60 s", func() bool { return dev.ask("book:*:read").ExpiresIn == 60 })
}

// TestDevLeavesNothing ends the server in every way short of killing it.
func TestDevLeavesNothing(t *testing.T) {
	ends := map[string]func(*devProcess) error{
		"SIGINT":  func(d *devProcess) error { return d.cmd.Process.Signal(os.Interrupt) },
		"SIGTERM": func(d *devProcess) error { return d.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGHUP":  func(d *devProcess) error { return d.cmd.Process.Signal(syscall.SIGHUP) },
		"caddy stop": func(d *devProcess) error {
			_, err := http.Post("http://"+d.admin+"/stop", "", nil)
			return err
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			dev := startDev(t)
			mode(t, dev.state("demo.env"), 0o600)
			mode(t, dev.state(), os.ModeDir|0o700)
			if log := dev.read("err"); !strings.Contains(log, "NOT FOR PRODUCTION") {
				t.Errorf("no warning on standard error: %s", log)
			}
			if err := end(dev); err != nil {
				t.Fatal(err)
			}
			if err := dev.cmd.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
			dev.isEmpty("tmp", "home")
		})
	}
}

// TestDevKeepsState runs twice with one folder, the second time as another issuer.
func TestDevKeepsState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "my state")
	var secret string
	for _, port := range []int{servertest.FreePort(t), servertest.FreePort(t)} {
		dev := startDevOn(t, port, "--dir", dir)
		if got := dev.ask("book:*:read"); got.Scope != "book:*:read" {
			t.Errorf("granted %q", got.Scope)
		}
		now := dev.readFile(filepath.Join(dir, "demo.env"))
		if secret != "" && now != secret {
			t.Error("the second run made another secret")
		}
		secret = now
		dev.end()
		dev.isEmpty("tmp", "home")
	}
	mode(t, filepath.Join(dir, "demo.env"), 0o600)
}

func TestDevRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	listen, admin := freeAddress(t), freeAddress(t)
	tests := map[string]struct{ listen, admin, dir, want string }{
		"every interface":       {listen: "0.0.0.0:8080", want: `--listen 0\.0\.0\.0:8080 is not on loopback: .*; give 127\.0\.0\.1:8080`},
		"no host":               {listen: ":8080", want: `--listen :8080 is not on loopback`},
		"a name":                {listen: "localhost.example.com:80", want: `is not on loopback`},
		"every IPv6 interface":  {listen: "[::]:8080", want: `--listen \[::\]:8080 is not on loopback`},
		"another network":       {listen: "unix//tmp/socket", want: `give a host and a port`},
		"no port":               {listen: "127.0.0.1", want: `--listen 127\.0\.0\.1: give a host and a port`},
		"port 0":                {listen: "127.0.0.1:0", want: `the port is a number from 1 to 65535`},
		"ports":                 {listen: "127.0.0.1:80-90", want: `the port is a number`},
		"admin everywhere":      {admin: "0.0.0.0:2019", want: `--admin 0\.0\.0\.0:2019 is not on loopback`},
		"a port that is taken":  {listen: taken.Addr().String(), want: `address already in use; choose another address with --listen`},
		"admin that is taken":   {admin: taken.Addr().String(), want: `address already in use; choose another address with --admin`},
		"one port for both":     {listen: listen, admin: listen, want: `already in use; choose another address with --admin`},
		"a folder in a quote":   {dir: `a"b`, want: `choose another folder with --dir`},
		"a folder that is none": {dir: "/dev/null/state", want: `not a directory`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dev := newDev(t, or(test.listen, listen), or(test.admin, admin))
			if test.dir != "" {
				dev.cmd.Args = append(dev.cmd.Args, "--dir", test.dir)
			}
			err := dev.cmd.Run()
			if dev.cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("it ended with %v, not with 1", err)
			}
			if log := dev.read("err"); !regexp.MustCompile(test.want).MatchString(log) {
				t.Errorf("it says %q, not %q", log, test.want)
			}
			dev.isEmpty("tmp")
		})
	}
}

// TestDevRefusesSharedPort: another Caddy listens, which would share the port.
func TestDevRefusesSharedPort(t *testing.T) {
	first := startDev(t)
	second := newDev(t, strings.TrimPrefix(first.issuer, "http://"), freeAddress(t))
	if err := second.cmd.Run(); second.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("it ended with %v, not with 1", err)
	}
	if log := second.read("err"); !strings.Contains(log, "address already in use") {
		t.Errorf("it says %q", log)
	}
	second.isEmpty("tmp")
}

// TestDevFailsToStart: Caddy itself refuses the config.
func TestDevFailsToStart(t *testing.T) {
	dir := t.TempDir()
	servertest.WriteFile(t, dir, "policy/broken.rego", "package m2m.token\n\ngranted contains")
	dev := newDev(t, freeAddress(t), freeAddress(t), "--dir", dir)
	if err := dev.cmd.Run(); dev.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("it ended with %v, not with 1", err)
	}
	if log := dev.read("err"); !strings.Contains(log, "broken.rego:3") {
		t.Errorf("it says %q", log)
	}
	if out := dev.read("out"); out != "" {
		t.Errorf("it says what to do next: %s", out)
	}
}

func mode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	if info, err := os.Stat(path); err != nil || info.Mode() != want {
		t.Errorf("%s: %v %v, want %v", path, info.Mode(), err, want)
	}
}

func freeAddress(t *testing.T) string { return fmt.Sprintf("127.0.0.1:%d", servertest.FreePort(t)) }

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

type devAnswer struct {
	Scope     string `json:"scope"`
	Rejected  string `json:"rejected_scope"`
	ExpiresIn int    `json:"expires_in"`
}

func (d *devProcess) ask(scope string) (answer devAnswer) {
	d.t.Helper()
	secret := strings.TrimSpace(d.readFile(d.state("demo.env")))
	secret = secret[strings.LastIndex(secret, "=")+1:]
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"demo"}, "client_secret": {secret}, "scope": {scope}}
	response, err := http.PostForm(d.issuer+"/oauth2/token", form)
	if err != nil {
		d.t.Fatal(err)
	}
	body := servertest.Body(d.t, response)
	if err := json.Unmarshal([]byte(body), &answer); err != nil || response.StatusCode != http.StatusOK {
		d.t.Fatalf("token answer %d %s", response.StatusCode, body)
	}
	return answer
}
