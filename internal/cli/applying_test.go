package cli

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
)

// run runs a command against a server that answers an apply, and returns what it prints and its exit code.
func run(t *testing.T, stderr *logWriter, serve http.HandlerFunc, args ...string) (out, log string, code int) {
	t.Helper()
	server := httptest.NewServer(serve)
	defer server.Close()
	file := filepath.Join(t.TempDir(), "registry.yaml")
	if err := os.WriteFile(file, []byte("clients: {a: {}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &Host{
		FindAdmin: func(string, string, string) (Endpoint, error) {
			return Endpoint{Name: "test", Network: "tcp", Address: server.Listener.Addr().String()}, nil
		},
		Exit: func(_ *cobra.Command, c int) error { code = c; return nil },
	}
	cmd := new(cobra.Command)
	h.M2M(cmd)
	var stdout bytes.Buffer
	cmd.SetOut(&stdout)
	cmd.SetErr(stderr)
	cmd.SetArgs(append(args, file))
	if err := cmd.ExecuteContext(context.Background()); err != nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), code
}

// logWriter closes seen when something is written to it.
type logWriter struct {
	bytes.Buffer
	once sync.Once
	seen chan struct{}
}

func newLog() *logWriter { return &logWriter{seen: make(chan struct{})} }

func (l *logWriter) Write(p []byte) (int, error) {
	defer l.once.Do(func() { close(l.seen) })
	return l.Buffer.Write(p)
}

func lines(w http.ResponseWriter, lines ...string) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n")
	_ = http.NewResponseController(w).Flush()
}

const (
	halfWay = `{"progress":{"doing":"writing","done":120,"total":500}}`
	created = `{"kind":"client","id":"a","action":"create","before":null,"after":{"id":"a","grants":[]}}`
)

func TestApplyShowsProgress(t *testing.T) {
	for name, test := range map[string]struct {
		command  string
		lines    []string
		out, log string
		code     int
	}{
		"result":    {command: "apply", lines: []string{halfWay, `{"applied":{"changes":[` + created + `]}}`}, out: "+ client a\n\n1 client created\n", log: "writing: 120 of 500\n"},
		"dry run":   {command: "diff", lines: []string{`{"applied":{"changes":[` + created + `],"dry_run":true}}`}, out: "+ client a\n\n1 client to create\n", code: exitDifferent},
		"fails":     {command: "apply", lines: []string{halfWay, `{"failed":{"error":"unavailable","message":"1 of 500 changes are written: disk full","written":[` + created + `]}}`}, out: "+ client a\n", log: "writing: 120 of 500\nError: 1 of 500 changes are written: disk full\n", code: exitUnavailable},
		"invalid":   {command: "diff", lines: []string{`{"failed":{"error":"invalid","message":"registry.yaml:1: no"}}`}, log: "Error: registry.yaml:1: no\n", code: exitInvalid},
		"ends":      {command: "apply", lines: []string{halfWay}, log: "writing: 120 of 500\nError: the server closed the connection before it was done, see its log: 120 of 500 changes were written by then", code: exitUnavailable},
		"diff ends": {command: "diff", lines: []string{`{"progress":{"doing":"comparing","done":1,"total":2}}`}, log: "comparing: 1 of 2\nError: the server closed the connection before it was done, see its log: nothing is changed\n", code: exitUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			out, log, code := run(t, newLog(), func(w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.Header.Get("Accept"), "application/x-ndjson") {
					t.Errorf("accepts %q", r.Header.Get("Accept"))
				}
				lines(w, test.lines...)
			}, test.command)
			if out != test.out || !strings.HasPrefix(log, test.log) || code != test.code {
				t.Errorf("code %d\n%s\n%s\nwant code %d\n%s\n%s", code, out, log, test.code, test.out, test.log)
			}
		})
	}
}

// An interrupted apply says what was done, and what to do next.
func TestApplyInterrupted(t *testing.T) {
	stderr := newLog()
	_, log, code := run(t, stderr, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		lines(w, halfWay)
		<-stderr.seen
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	}, "apply", "--prune", "--issuer", "https://auth.example.com")
	want := "Error: interrupted: 120 of 500 changes were written by then, and the server goes on with the rest. To see what is left: "
	if !strings.Contains(log, want) || !strings.Contains(log, " m2m diff ") || !strings.Contains(log, " --issuer https://auth.example.com --prune") || code != exitInterrupted {
		t.Errorf("code %d: %s", code, log)
	}
}

func TestDiffShowsSingleGrants(t *testing.T) {
	const change = `{"kind":"client","id":"a","action":"update",
		"before":{"description":"x","grants":[{"resource":"book","identifiers":["1","2"],"actions":["read","edit"],"effect":"allow"}]},
		"after":{"description":"x","grants":[{"resource":"book","identifiers":["1"],"actions":["read","edit"],"effect":"allow"},{"resource":"book","identifiers":["2"],"actions":["read"],"effect":"allow"},{"resource":"book","identifiers":["s-*"],"actions":["*"],"effect":"deny"}]}}`
	out, _, code := run(t, newLog(), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"changes":[`+change+`],"dry_run":true}`)
	}, "diff")
	want := "~ client a\n    grants: - allow book:2:edit\n    grants: + deny book:s-*:*\n\n1 client to update\n"
	if out != want || code != exitDifferent {
		t.Errorf("code %d: %s", code, out)
	}
}
