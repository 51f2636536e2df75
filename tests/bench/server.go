package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"
)

// server is a process of its own that runs Caddy.
type server struct {
	dir     string
	sites   map[string]string // host and port of each site of the config
	fixture *fixture
	options serverOptions
	process *process
}

// serverOptions are what the configs of servers differ in.
type serverOptions struct {
	Silent     bool   // no decision log
	Limits     bool   // the limits that the plugin has by default; else none that a measurement could reach
	Patient    bool   // decisions may take long: others may be busy on this machine, and an answer other than 200 is a failure
	Registry   string // path
	TokenCache string // its size; empty for the default
	Variant    bool   // a config that differs a little, for reloads
}

// start runs the server until stop, or until the fixture is closed.
func (s *server) start(f *fixture, name string, o serverOptions) error {
	s.fixture, s.options, s.dir, s.sites = f, o, filepath.Join(f.dir, name), make(map[string]string)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	config, err := s.config(o)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, "Caddyfile")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return err
	}
	output, err := os.Create(filepath.Join(s.dir, "output"))
	if err != nil {
		return err
	}
	defer output.Close()
	s.process, err = f.start(output, []string{
		role + "=server", "GOMAXPROCS=" + strconv.Itoa(f.procs), "HOME=" + s.dir, "XDG_DATA_HOME=" + s.dir, "XDG_CONFIG_HOME=" + s.dir,
	}, "run", "--config", path, "--adapter", "caddyfile")
	if err != nil {
		return err
	}
	return s.await()
}

// site returns the address of a site of the config, which is free the first time.
func (s *server) site(name string) string {
	if s.sites[name] == "" {
		s.sites[name] = freeAddress()
	}
	return s.sites[name]
}

// Ports of servers are below those that the system gives to connections, of which a flood takes thousands.
const (
	firstPort = 10_000
	ports     = 20_000
)

var nextPort = rand.IntN(ports)

// freeAddress returns another address each time.
func freeAddress() string {
	for {
		nextPort = (nextPort + 1) % ports
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+nextPort)
		if listener, err := net.Listen("tcp", address); err == nil {
			_ = listener.Close()
			return address
		}
	}
}

// config is the Caddyfile of the server.
func (s *server) config(o serverOptions) ([]byte, error) {
	parsed, err := template.New("Caddyfile").Funcs(template.FuncMap{"site": s.site}).Parse(serverCaddyfile)
	if err != nil {
		return nil, err
	}
	var config bytes.Buffer
	err = parsed.Execute(&config, struct {
		serverOptions
		*fixture
		Dir string
	}{o, s.fixture, s.dir})
	return config.Bytes(), err
}

// await waits until the server answers.
func (s *server) await() error {
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get("http://" + s.site("ready"))
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.process.ended:
		default:
			if time.Now().Before(deadline) {
				continue
			}
		}
		output, _ := os.ReadFile(filepath.Join(s.dir, "output"))
		return fmt.Errorf("starting the server in %s: %w: %s", s.dir, errors.Join(err, errors.New("it is not ready")), output)
	}
}

// stop ends the process and removes its files.
func (s *server) stop() {
	if s.process != nil {
		s.process.stop()
		_ = os.RemoveAll(s.dir)
	}
}

// usage asks the process what it has taken. If settled, it collects its garbage first.
func (s *server) usage(settled bool) (u usage, err error) {
	query := ""
	if settled {
		query = "?settled"
	}
	body, err := get("http://" + s.site("usage") + "/" + query)
	if err != nil {
		return u, err
	}
	return u, json.Unmarshal(body, &u)
}

// resident is the memory of the process in bytes: now, and at its highest.
func (s *server) resident() (now, highest uint64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Pid))
	if err != nil {
		return 0, 0 // not Linux
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kilobytes, _ := strconv.ParseUint(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			now = kilobytes << 10
		case "VmHWM:":
			highest = kilobytes << 10
		}
	}
	return now, highest
}

func get(url string) ([]byte, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("getting %s: %s: %s", url, response.Status, body)
	}
	return body, err
}
