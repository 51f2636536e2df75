// Package servertest runs Caddy with this plugin inside a test, with listeners on loopback and file storage in a temporary
// folder. Start with Start and StartIssuer. Only tests import it.
package servertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json/jsontext"

	_ "github.com/caddyserver/caddy/v2/modules/standard" // the modules of stock Caddy

	_ "github.com/caddy-m2m/caddy-m2m/caddymodule" // this plugin
)

// Server is the only Caddy of this process. A test function may have only one, because a second one waits for the first to end.
type Server struct {
	t       testing.TB
	Storage string // folder of its storage
	// LogLevel is the level of Caddy's log. The default is DEBUG, while that of production is INFO.
	LogLevel string
	// Silent are names of loggers that Caddy leaves out of its log.
	Silent []string
	// Admin is the address of the admin endpoint. By default the endpoint is off.
	Admin string
	// Change, unless nil, changes the adapted config, for what a Caddyfile cannot express.
	Change func(config map[string]any)
	log    string
}

// running is held while a test has a server, because a process has only one Caddy config.
var running sync.Mutex

// Start runs Caddy with a Caddyfile until the test ends. Listen addresses in it should come from
// FreePort. The admin endpoint is off.
func Start(t testing.TB, caddyfile string) *Server {
	t.Helper()
	s := New(t)
	if err := s.Load(caddyfile); err != nil {
		t.Fatalf("starting Caddy: %v", err)
	}
	return s
}

// New returns a server that runs nothing before Load, and is stopped after the test.
func New(t testing.TB) *Server {
	t.Helper()
	running.Lock()
	s := &Server{t: t, Storage: t.TempDir(), LogLevel: "DEBUG", log: filepath.Join(t.TempDir(), "caddy.log")}
	t.Cleanup(func() {
		defer running.Unlock()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
		s.FailStorage("")
		s.WatchStorage(nil)
		CheckLog(s.t, s.Log())
	})
	return s
}

// Load replaces the config, as a reload does. After an error the former config stays in force.
func (s *Server) Load(caddyfile string) error {
	config, err := s.adapt(caddyfile)
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

// Restart stops Caddy and starts it again on the same storage, as a new process does.
func (s *Server) Restart(caddyfile string) error {
	if err := caddy.Stop(); err != nil {
		return err
	}
	return s.Load(caddyfile)
}

// Validate provisions a config without running it, as caddy validate does.
func (s *Server) Validate(caddyfile string) error {
	adapted, err := s.adapt(caddyfile)
	if err != nil {
		return err
	}
	config := new(caddy.Config)
	if err := json.Unmarshal(adapted, config); err != nil {
		return err
	}
	return caddy.Validate(config)
}

// Handler returns the HTTP server of the current config, for requests without a network.
func (s *Server) Handler() http.Handler {
	s.t.Helper()
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		s.t.Fatalf("finding the HTTP server: %v", err)
	}
	return app.(*caddyhttp.App).Servers["srv0"]
}

// adapt converts a Caddyfile to JSON and adds what a test needs.
func (s *Server) adapt(caddyfile string) ([]byte, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return nil, err
	}
	config := make(map[string]any)
	if err := json.Unmarshal(adapted, &config); err != nil {
		return nil, err
	}
	config["admin"] = map[string]any{"disabled": s.Admin == "", "listen": s.Admin, "config": map[string]any{"persist": false}}
	config["storage"] = map[string]any{"module": "servertest", "root": s.Storage}
	config["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{
		"level":   s.LogLevel,
		"exclude": s.Silent,
		"writer":  map[string]any{"output": "file", "filename": s.log},
	}}}
	if s.Change != nil {
		s.Change(config)
	}
	return json.Marshal(config)
}

// Log returns what Caddy has logged so far, one JSON object per line.
func (s *Server) Log() string {
	s.t.Helper()
	content, err := os.ReadFile(s.log)
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatalf("reading the log: %v", err)
	}
	return string(content)
}

// CheckLog fails the test if a line of a log repeats a key at any depth, because readers of the log see only one of the values.
// The proxy of Caddy repeats one at level debug.
func CheckLog(t testing.TB, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		_, err := jsontext.NewDecoder(strings.NewReader(line)).ReadValue()
		if errors.Is(err, jsontext.ErrDuplicateName) && !strings.Contains(line, `"logger":"http.handlers.reverse_proxy"`) {
			t.Errorf("a log line repeats a key: %v: %s", err, line)
			return
		}
	}
}

// LogLines returns the objects that the logger with this name has logged.
func (s *Server) LogLines(logger string) []map[string]any {
	s.t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(s.Log()) {
		object := make(map[string]any)
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			s.t.Fatalf("reading the log line %q: %v", line, err)
		}
		if object["logger"] == logger {
			lines = append(lines, object)
		}
	}
	return lines
}

// Ports of tests are below those that the system assigns to listeners on port 0, so that such a listener does not take the
// port before Caddy does.
const (
	firstPort = 10_000
	ports     = 20_000
)

var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(ports)) } // processes of several packages run at once

// FreePort returns a free loopback port. No two calls in a process return the same one.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := firstPort + int(nextPort.Add(1)%ports)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		_ = listener.Close()
		return port
	}
	t.Fatal("finding a free port: a hundred are taken")
	return 0
}

// FreeURL returns an http URL on a free loopback port.
func FreeURL(t testing.TB) string { return fmt.Sprintf("http://127.0.0.1:%d", FreePort(t)) }

// WriteFile writes a file below dir, with its folders, and returns its path.
func WriteFile(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Body reads a response to its end and closes it.
func Body(t testing.TB, response *http.Response) string {
	t.Helper()
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		t.Fatalf("reading the response: %v", err)
	}
	return body.String()
}
