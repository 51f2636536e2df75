// Package examples_test runs the examples unchanged, except for their ports.
package examples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// caddy is the binary under test, built once.
var caddy string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "caddy-m2m")
	if err != nil {
		panic(err)
	}
	caddy = filepath.Join(dir, "caddy")
	build := exec.Command("go", "build", "-o", caddy, "../cmd/caddy")
	build.Stderr = os.Stderr
	code := 1
	if build.Run() == nil {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func TestGateway(t *testing.T) {
	gateway := startGateway(t)
	id, secret := demoClient(t)

	answer := askToken(t, gateway, id, secret, "book:*:read book:*:edit")
	if answer.Scope != "book:*:read" || answer.Rejected == nil || *answer.Rejected != "book:*:edit" {
		t.Fatalf("granted %q, rejected %v", answer.Scope, answer.Rejected)
	}
	expect(t, "GET", gateway+"/books/1", answer.Token, 200, `"client":"demo"`)
	expect(t, "GET", gateway+"/books/1", answer.Token, 200, `"authorization":""`)
	expect(t, "PUT", gateway+"/books/1", answer.Token, 403, `"scope":"book:1:edit"`)
	expect(t, "GET", gateway+"/books/1", "", 401, `"error":`)
}

// TestGatewayEdited edits the registry and the policy as the README says, without a restart.
func TestGatewayEdited(t *testing.T) {
	dir := copyGateway(t)
	gateway := runGateway(t, dir)
	id, secret := demoClient(t)

	replaceIn(t, dir+"/examples/gateway/registry.yaml", "actions: [read]}", "actions: [read, edit]}")
	eventually(t, "the client may edit", func() bool {
		return *askToken(t, gateway, id, secret, "book:*:read book:*:edit").Rejected == ""
	})
	replaceIn(t, dir+"/examples/gateway/policy/catalogue.json", "false", "true")
	eventually(t, "the catalogue is frozen", func() bool {
		return *askToken(t, gateway, id, secret, "book:*:read book:*:edit").Rejected == "book:*:edit"
	})
	replaceIn(t, dir+"/examples/gateway/policy/token.rego", "not data.catalogue.frozen == false", "data.catalogue.frozen == 1")
	eventually(t, "the catalogue is not frozen", func() bool {
		return *askToken(t, gateway, id, secret, "book:*:read book:*:edit").Rejected == ""
	})
}

// TestSidecar sends tokens of the gateway's issuer to a door in another process.
func TestSidecar(t *testing.T) {
	gateway := startGateway(t)
	id, secret := demoClient(t)
	upstream := servertest.FreeURL(t)
	sidecar := servertest.FreeURL(t)
	serveEcho(t, strings.TrimPrefix(upstream, "http://"))
	run(t, "..", sidecar, []string{
		"ISSUER=" + gateway, "AUDIENCE=" + gateway,
		"PORT=" + port(sidecar), "UPSTREAM=" + strings.TrimPrefix(upstream, "http://"),
	}, "examples/sidecar/Caddyfile")

	sidecar = localhost(sidecar)
	token := askToken(t, gateway, id, secret, "book:*:read").Token
	expect(t, "GET", sidecar+"/books/1", token, 200, "client=demo team=catalogue")
	expect(t, "PUT", sidecar+"/books/1", token, 403, `"scope":"book:1:edit"`)
	expect(t, "GET", sidecar+"/books/1", "", 401, `"error":`)
}

// TestSidecarEndsStalledBodies checks the example's timeouts: the wait for a body ends after ten seconds, and an idle
// connection is closed. The test sets a shorter idle timeout.
func TestSidecarEndsStalledBodies(t *testing.T) {
	gateway := startGatewayThatEdits(t)
	id, secret := demoClient(t)
	upstream, sidecar := servertest.FreeURL(t), servertest.FreeURL(t)
	serveEcho(t, strings.TrimPrefix(upstream, "http://"))
	caddyfile, err := os.ReadFile("sidecar/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	servertest.WriteFile(t, dir, "Caddyfile", string(caddyfile))
	replaceIn(t, dir+"/Caddyfile", "idle 2m", "idle 2s")
	run(t, dir, sidecar, []string{
		"ISSUER=" + gateway, "AUDIENCE=" + gateway,
		"PORT=" + port(sidecar), "UPSTREAM=" + strings.TrimPrefix(upstream, "http://"),
	}, "Caddyfile")
	token := askToken(t, gateway, id, secret, "book:*:edit").Token
	expect(t, "PUT", localhost(sidecar)+"/books/1", token, 200, "client=demo")

	var all sync.WaitGroup
	for range 10 {
		for bearer, status := range map[string]string{token: " 504 499 ", "": " 401 "} {
			all.Go(func() { stalledPut(t, sidecar, bearer, status) })
		}
	}
	all.Wait()
}

// stalledPut sends a part of a body. It expects an answer with one of the statuses, and the end of the connection in time.
func stalledPut(t *testing.T, server, token, status string) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(server, "http://"))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(18 * time.Second))
	fmt.Fprintf(conn, "PUT /books/1 HTTP/1.1\r\nHost: localhost:%s\r\nContent-Length: 1000\r\n", port(server))
	if token != "" {
		fmt.Fprintf(conn, "Authorization: Bearer %s\r\n", token)
	}
	io.WriteString(conn, "\r\npart")
	answer, err := io.ReadAll(conn)
	if line := strings.Fields(string(answer)); err != nil || len(line) < 2 || !strings.Contains(status, " "+line[1]+" ") {
		t.Errorf("answered %q, %v; want%s", answer, err, status)
	}
}

// startGatewayThatEdits runs a gateway whose client may also edit.
func startGatewayThatEdits(t *testing.T) string {
	dir := copyGateway(t)
	replaceIn(t, dir+"/examples/gateway/registry.yaml", "actions: [read]}", "actions: [read, edit]}")
	return runGateway(t, dir)
}

// startGateway runs a copy of the gateway and returns the issuer's URL.
func startGateway(t *testing.T) string { return runGateway(t, copyGateway(t)) }

// copyGateway copies the gateway's files, so that tests may edit them.
func copyGateway(t *testing.T) string {
	dir := t.TempDir()
	if err := os.CopyFS(dir+"/examples/gateway", os.DirFS("gateway")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func runGateway(t *testing.T, dir string) string {
	caddyfile, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	issuer, upstream := servertest.FreeURL(t), servertest.FreeURL(t)
	text := strings.NewReplacer("localhost:8080", "localhost:"+port(issuer), "localhost:8081", "localhost:"+port(upstream)).Replace(string(caddyfile))
	text = strings.Replace(text, "default_bind", "admin off\n\tdefault_bind", 1)
	servertest.WriteFile(t, dir, "Caddyfile", text)
	run(t, dir, issuer, nil, "Caddyfile")
	return localhost(issuer)
}

// run starts the binary in dir with an empty data folder, waits until it listens, and stops it
// when the test ends.
func run(t *testing.T, dir, listens string, env []string, caddyfile string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(caddy, "run", "--config", caddyfile, "--adapter", "caddyfile")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &log, &log
	data := t.TempDir()
	cmd.Env = append(os.Environ(), append(env, "XDG_DATA_HOME="+data, "XDG_CONFIG_HOME="+data)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("log of %s:\n%s", caddyfile, log.String())
		}
	})
	eventually(t, caddyfile+" listens", func() bool {
		response, err := http.Get(localhost(listens))
		if err != nil {
			return false
		}
		response.Body.Close()
		return true
	})
}

// serveEcho is the sidecar's service. It answers with the identity headers that it got.
func serveEcho(t *testing.T, address string) {
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "client="+r.Header.Get("X-Client-Id")+" team="+r.Header.Get("X-Client-Team"))
	})}
	go server.ListenAndServe()
	t.Cleanup(func() { server.Shutdown(context.Background()) })
}

type tokenAnswer struct {
	Token    string  `json:"access_token"`
	Scope    string  `json:"scope"`
	Rejected *string `json:"rejected_scope"`
}

func askToken(t *testing.T, issuer, id, secret, scope string) tokenAnswer {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "scope": {scope}}
	response, err := http.PostForm(issuer+"/oauth2/token", form)
	if err != nil {
		t.Fatal(err)
	}
	body := servertest.Body(t, response)
	var answer tokenAnswer
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Rejected == nil {
		t.Fatalf("token answer %d %s", response.StatusCode, body)
	}
	return answer
}

func expect(t *testing.T, method, url, token string, status int, body string) {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if got := servertest.Body(t, response); response.StatusCode != status || !strings.Contains(got, body) {
		t.Errorf("%s %s: %d %s, want %d and %s", method, url, response.StatusCode, got, status, body)
	}
}

// demoClient reads demo.env.
func demoClient(t *testing.T) (id, secret string) {
	content, err := os.ReadFile("gateway/demo.env")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "CLIENT_ID":
			id = value
		case "CLIENT_SECRET":
			secret = value
		}
	}
	return id, secret
}

func replaceIn(t *testing.T, path, old, new string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(content), old, new, 1)
	if edited == string(content) {
		t.Fatalf("%s has no %q", path, old)
	}
	if err := os.WriteFile(path, []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("not within ten seconds: %s", what)
}

func port(url string) string { return url[strings.LastIndex(url, ":")+1:] }

func localhost(url string) string { return "http://localhost:" + port(url) }
