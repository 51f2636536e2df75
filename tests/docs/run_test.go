package docs_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// expected are texts that the session of a page must print beside the answers on the page, and how often.
var expected = map[string]map[string]int{
	"README.md": {
		`"scope":"book:*:read","rejected_scope":"book:*:edit"`: 2, // as a form and as JSON
		"HTTP/1.1 200": 1, `"client":"demo"`: 1, "HTTP/1.1 403": 1, `"scope":"book:1:edit"`: 1, "HTTP/1.1 401": 1,
	},
}

// TestMarkedBlocksRun types the marked blocks of each page into a shell, one after the other, as a stranger would, on the ports
// that the page names.
func TestMarkedBlocksRun(t *testing.T) {
	servertest.SkipUnlessLong(t)
	bin := t.TempDir()
	if output, err := exec.Command("go", "build", "-o", filepath.Join(bin, "caddy"), "../../cmd/caddy").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	sessions := 0
	for _, page := range pages(t) {
		all := blocksOf(t, page)
		script := script(all)
		if script == "" {
			continue
		}
		sessions++
		t.Run(page, func(t *testing.T) {
			output := run(t, page, script, bin)
			checkAnswers(t, all, output)
			for text, times := range expected[page] {
				if got := strings.Count(output, text); got != times {
					t.Errorf("%q is %d times in the output, want %d", text, got, times)
				}
			}
			if t.Failed() {
				t.Logf("the output:\n%s", output)
			}
		})
	}
	if sessions < 2 {
		t.Errorf("%d pages have marked blocks", sessions)
	}
}

// script returns the session of a page, "" if it has no block that runs. A line before the output of each block names it.
func script(all []block) string {
	var script strings.Builder
	for _, b := range all {
		fmt.Fprintf(&script, "echo %s\n", markerOf(b))
		switch {
		case b.language == "sh" && b.mark == "run":
			script.WriteString(b.text)
		case b.language == "sh" && b.mark == "server":
			fmt.Fprintf(&script, "{\n%s} >\"$WORK/server.log\" 2>&1 &\n%s", b.text, waitForServer)
		case b.language == "caddyfile" && b.mark == "run":
			fmt.Fprintf(&script, "cat >\"$WORK/Caddyfile\" <<'END-OF-CADDYFILE'\n%sEND-OF-CADDYFILE\n"+
				"caddy run --config \"$WORK/Caddyfile\" >\"$WORK/server.log\" 2>&1 &\n%s", b.text, waitForServer)
		}
	}
	if !strings.Contains(script.String(), "\n"+waitForServer) {
		return ""
	}
	return "set -e\n" + script.String()
}

// waitForServer waits until the admin endpoint answers.
const waitForServer = `for _ in $(seq 1200); do
	curl -fs -o /dev/null http://localhost:2019/config/ && break
	kill -0 $! || { cat "$WORK/server.log"; exit 1; }
	sleep 0.5
done
`

func markerOf(b block) string { return "block:" + b.String() }

// run runs a session and ends all its processes. README is about a clone, so its session begins there.
func run(t *testing.T, page, script, bin string) string {
	t.Helper()
	work := t.TempDir()
	command := exec.Command("bash")
	command.Stdin = strings.NewReader(script)
	command.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "WORK="+work, "XDG_DATA_HOME="+work, "XDG_CONFIG_HOME="+work)
	if command.Dir = work; page == "README.md" {
		command.Dir = "../.."
	}
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.WaitDelay = time.Second
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	err := command.Wait()
	_ = syscall.Kill(-command.Process.Pid, syscall.SIGTERM) // the server
	if err != nil && err != exec.ErrWaitDelay {
		log, _ := os.ReadFile(filepath.Join(work, "server.log"))
		t.Errorf("%v; the log of the server:\n%s", err, log)
	}
	for deadline := time.Now().Add(20 * time.Second); syscall.Kill(-command.Process.Pid, 0) == nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server does not end")
		}
	}
	return output.String()
}

// checkAnswers compares the blocks marked as answers with the output of the block before them. A … stands for anything.
func checkAnswers(t *testing.T, all []block, output string) {
	t.Helper()
	for n, b := range all {
		if b.mark != "answer" {
			continue
		}
		_, got, _ := strings.Cut(output, markerOf(all[n-1])+"\n")
		got, _, _ = strings.Cut(got, markerOf(b))
		for line := range strings.Lines(b.text) {
			pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(line)), "…", ".*")
			if !regexp.MustCompile(pattern).MatchString(got) {
				t.Errorf("%s: the output of the block before it has no line\n%s", b, line)
			}
		}
	}
}
