// Package cluster_test runs several Caddy processes with this plugin as one issuer, and checks what docs/cluster.md says.
package cluster_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

const audience = "https://api.example.com"

// binary is Caddy with this plugin, built once.
var binary = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "cluster")
	if err != nil {
		return "", err
	}
	name := filepath.Join(folder, "caddy")
	output, err := exec.Command("go", "build", "-o", name, "github.com/caddy-m2m/caddy-m2m/cmd/caddy").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, output)
	}
	return name, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if name, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(name))
	}
	os.Exit(code)
}

// node is a Caddy process with its own config.
type node struct {
	t      testing.TB
	dir    string
	url    string // of its site
	admin  string // of its admin endpoint
	config []byte
	log    string

	process *exec.Cmd
	ended   chan struct{}
}

// newNode makes a node that has yet to start. In the Caddyfile ADMIN, PORT and URL stand for what they are; change, unless
// nil, changes what is adapted, for what no Caddyfile can say.
func newNode(t testing.TB, caddyfile string, change func(config map[string]any)) *node {
	t.Helper()
	port := servertest.FreePort(t)
	n := &node{t: t, dir: t.TempDir(), url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	n.admin = strings.TrimPrefix(servertest.FreeURL(t), "http://")
	n.log = filepath.Join(n.dir, "log")
	n.config = n.adapt(caddyfile, change)
	t.Cleanup(func() {
		n.kill()
		servertest.CheckLog(t, n.logged())
	})
	return n
}

func (n *node) adapt(caddyfile string, change func(config map[string]any)) []byte {
	n.t.Helper()
	_, port, _ := strings.Cut(strings.TrimPrefix(n.url, "http://"), ":")
	text := strings.NewReplacer("ADMIN", n.admin, "PORT", port, "URL", n.url).Replace(caddyfile)
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		n.t.Fatalf("adapting %s: %v", text, err)
	}
	config := make(map[string]any)
	if err := json.Unmarshal(adapted, &config); err != nil {
		n.t.Fatal(err)
	}
	if change != nil {
		change(config)
	}
	data, err := json.Marshal(config)
	if err != nil {
		n.t.Fatal(err)
	}
	return data
}

// begin starts the process without waiting until it serves.
func (n *node) begin() {
	n.t.Helper()
	name, err := binary()
	if err != nil {
		n.t.Fatal(err)
	}
	file := servertest.ReplaceFile(n.t, n.dir, "config.json", string(n.config))
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	defer log.Close()
	process := exec.Command(name, "run", "--config", file)
	process.Env = append(os.Environ(), "XDG_DATA_HOME="+n.dir, "XDG_CONFIG_HOME="+n.dir, "HOME="+n.dir)
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.process, n.ended = process, make(chan struct{})
	go func(ended chan struct{}) {
		_ = process.Wait()
		close(ended)
	}(n.ended)
}

// start starts the process and waits until it is ready.
func (n *node) start() *node {
	n.t.Helper()
	n.begin()
	n.await()
	return n
}

func (n *node) await() {
	n.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		response, err := http.Get(n.url + "/ready")
		if err == nil {
			_ = servertest.Body(n.t, response)
			if response.StatusCode == http.StatusOK && n.administered() {
				return
			}
		}
		select {
		case <-n.ended:
			n.t.Fatalf("the node has ended: %s", n.logged())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("the node is not ready: %v: %s", err, n.logged())
		}
	}
}

// administered reports whether the admin API serves the node's config, which may serve before all of it has started.
func (n *node) administered() bool {
	if !strings.Contains(string(n.config), "m2m_") {
		return true // stock Caddy
	}
	a, err := ask(plain, "GET", "http://"+n.admin+"/m2m/status", "")
	return err == nil && a.status == http.StatusOK
}

// stop ends the process as an operator does, and kill as a power failure does.
func (n *node) stop() { n.end(syscall.SIGTERM) }
func (n *node) kill() { n.end(syscall.SIGKILL) }

func (n *node) end(signal os.Signal) {
	if n.process == nil {
		return
	}
	_ = n.process.Process.Signal(signal)
	select {
	case <-n.ended:
	case <-time.After(time.Minute):
		_ = n.process.Process.Kill()
		n.t.Error("the node does not end")
	}
	n.process = nil
}

func (n *node) logged() string {
	content, _ := os.ReadFile(n.log)
	return string(content)
}

// complaints returns the errors in the log by their subject.
func (n *node) complaints() map[string][]string {
	all := make(map[string][]string)
	for line := range strings.Lines(n.logged()) {
		var entry struct{ Level, Msg, Error string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Level == "error" {
			all[entry.Msg] = append(all[entry.Msg], entry.Error)
		}
	}
	return all
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// field returns a member of the body by its path.
func (a answer) field(path ...any) any {
	var value any
	_ = json.Unmarshal([]byte(a.body), &value)
	for _, step := range path {
		switch step := step.(type) {
		case string:
			members, _ := value.(map[string]any)
			value = members[step]
		case int:
			if list, _ := value.([]any); step < len(list) {
				value = list[step]
			} else {
				value = nil
			}
		}
	}
	return value
}

// plain is a client that does not keep connections, so that each request shows whether the server is up.
var plain = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func ask(client *http.Client, method, address, body string, header ...string) (answer, error) {
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	return read(client.Do(request))
}

func read(response *http.Response, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(content)}, err
}

// must is like ask, and fails the test if there is no answer.
func must(t testing.TB, method, address, body string, header ...string) answer {
	t.Helper()
	a, err := ask(plain, method, address, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// administer sends a request to the node's admin API.
func (n *node) administer(method, path, body string) answer {
	n.t.Helper()
	return must(n.t, method, "http://"+n.admin+"/m2m"+path, body, "Content-Type", "application/json")
}

// want is like administer, and fails the test for another status.
func (n *node) want(status int, method, path, body string) answer {
	n.t.Helper()
	a := n.administer(method, path, body)
	if a.status != status {
		n.t.Fatalf("%s %s answers %s, want %d", method, path, a, status)
	}
	return a
}

func (n *node) status() answer { n.t.Helper(); return n.want(200, "GET", "/status", "") }

// metric returns the value of a time series of the node, or "" if there is none.
func (n *node) metric(name string, labels ...string) string {
	n.t.Helper()
	for line := range strings.Lines(must(n.t, "GET", n.url+"/metrics", "").body) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		has := strings.HasPrefix(series, name+"{")
		for _, label := range labels {
			has = has && strings.Contains(series, label)
		}
		if has {
			return value
		}
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok && len(labels) == 0 {
			return value
		}
	}
	return ""
}

// secret returns the secret of a client.
type secret struct{ id, secret string }

func (s secret) form(scopes string) string {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {s.id}, "client_secret": {s.secret}, "scope": {scopes}}.Encode()
}

const formType = "application/x-www-form-urlencoded"

// token requests a token from an issuer or from one of its nodes.
func (s secret) token(client *http.Client, at string) (answer, error) {
	return ask(client, "POST", at+"/oauth2/token", s.form("book:*:read"), "Content-Type", formType)
}

// decided is like token, and asks again while a decision takes longer than it is given, as on a busy machine.
func (s secret) decided(at string) (a answer, err error) {
	for range 20 {
		if a, err = s.token(plain, at); !strings.Contains(a.body, "no decision can be made now") {
			break
		}
	}
	return a, err
}

func (s secret) mustToken(t testing.TB, at string) string {
	t.Helper()
	a, err := s.decided(at)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := a.field("access_token").(string)
	if raw == "" {
		t.Fatalf("no token: %s", a)
	}
	return raw
}

// answered tells whether a node answers the client's request for a token with a status.
func (s secret) answered(n *node, status int) func() bool {
	return func() bool { a, err := s.token(plain, n.url); return err == nil && a.status == status }
}

// about sends a request about a token to an endpoint.
func (s secret) about(t testing.TB, at, endpoint, raw string) answer {
	t.Helper()
	form := url.Values{"client_id": {s.id}, "client_secret": {s.secret}, "token": {raw}}
	return must(t, "POST", at+"/oauth2/"+endpoint, form.Encode(), "Content-Type", formType)
}

// atDoor returns the response of a node's door to a token.
func (n *node) atDoor(raw string) answer {
	n.t.Helper()
	return must(n.t, "GET", n.url+"/books/1", "", "Authorization", "Bearer "+raw)
}

// balancer forwards requests of clients to the nodes in turn, and to the next one if a node does not answer.
type balancer struct {
	*httptest.Server
	turn  atomic.Uint32
	mu    sync.Mutex
	nodes []*node
}

func newBalancer(t testing.TB) *balancer {
	b := new(balancer)
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "reading: "+err.Error(), http.StatusBadGateway)
		return
	}
	b.mu.Lock()
	nodes := b.nodes
	b.mu.Unlock()
	if err = errors.New("no node"); len(nodes) > 0 {
		first := int(b.turn.Add(1))
		for i := range nodes {
			if err = b.forward(w, r, nodes[(first+i)%len(nodes)], body); err == nil {
				return
			}
		}
	}
	http.Error(w, err.Error(), http.StatusBadGateway)
}

// forward fails if the node does not answer.
func (b *balancer) forward(w http.ResponseWriter, r *http.Request, to *node, body []byte) error {
	request := r.Clone(r.Context())
	request.URL, _ = url.Parse(to.url + r.URL.RequestURI())
	request.RequestURI, request.Body = "", io.NopCloser(bytes.NewReader(body))
	response, err := plain.Transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(response.StatusCode)
	_, _ = w.Write(content)
	return nil
}

// cluster is two nodes of one issuer on a shared folder, and a door elsewhere.
type cluster struct {
	*balancer
	t       testing.TB
	storage string
	a, b    *node
	edge    *node
}

const nodeFile = `{
	admin ADMIN
	auto_https off
	storage file_system STORAGE
	m2m {
		issuer ISSUER {
			audience ` + audience + `
			client_limits off
			policy {
				timeout 20s
			}
			OPTIONS
		}
	}
}
http://:PORT {
	bind 127.0.0.1
	m2m_ready /ready
	metrics /metrics
	m2m_issuer
	m2m_auth /books/* {
		require GET /books/{id} book:{id}:read
	}
	respond /books/* ok
}
`

const edgeFile = `{
	admin ADMIN
	auto_https off
}
http://:PORT {
	bind 127.0.0.1
	m2m_ready /ready
	metrics /metrics
	m2m_auth /books/* {
		issuer ISSUER
		audience ` + audience + `
		require GET /books/{id} book:{id}:read
	}
	respond /books/* ok
}
`

// newCluster makes the nodes without starting them.
func newCluster(t testing.TB, options string, change func(config map[string]any)) *cluster {
	t.Helper()
	c := &cluster{balancer: newBalancer(t), t: t, storage: filepath.Join(t.TempDir(), "shared")}
	make := func(storage string) *node {
		text := strings.NewReplacer("STORAGE", storage, "ISSUER", c.URL, "OPTIONS", options).Replace(nodeFile)
		return newNode(t, text, change)
	}
	link := filepath.Join(t.TempDir(), "mounted") // as B sees the folder, so that B alone can lose it
	if err := os.Symlink(c.storage, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.storage, 0o700); err != nil {
		t.Fatal(err)
	}
	c.a, c.b = make(c.storage), make(link)
	c.edge = newNode(t, strings.ReplaceAll(edgeFile, "ISSUER", c.URL), nil)
	c.nodes = []*node{c.a, c.b}
	return c
}

// mount makes a folder or a file the storage of node B.
func (c *cluster) mount(what string) {
	c.t.Helper()
	var file struct{ Storage struct{ Root string } }
	if err := json.Unmarshal(c.b.config, &file); err != nil {
		c.t.Fatal(err)
	}
	link := file.Storage.Root
	if err := os.Symlink(what, link+".new"); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		c.t.Fatal(err)
	}
}

// start starts all of them.
func (c *cluster) start() *cluster {
	c.t.Helper()
	c.a.begin()
	c.b.begin()
	c.edge.begin()
	c.a.await()
	c.b.await()
	c.edge.await()
	return c
}

// client makes a client that may read books, at node A.
func (c *cluster) client(id string) secret {
	c.t.Helper()
	if a := c.a.administer("GET", "/resources/book", ""); a.status == http.StatusNotFound {
		c.a.want(201, "POST", "/resources", `{"code": "book", "actions": {"read": "", "edit": ""}}`)
	}
	return c.a.clientOf(id)
}

// clientOf makes a client at a node, where there is the resource.
func (n *node) clientOf(id string) secret {
	n.t.Helper()
	made := n.want(201, "POST", "/clients", `{"id": "`+id+`", "grants": [{"resource": "book", "identifiers": ["*"], "actions": ["read"]}]}`)
	text, _ := made.field("client_secret").(string)
	return secret{id, text}
}

// within waits until something holds, and returns how long that took.
func within(t testing.TB, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if ok() {
			return time.Since(begun)
		}
		if time.Since(begun) > limit {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func number(text string) float64 {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return -1
	}
	return value
}

// listens reports whether a server accepts connections at a URL.
func listens(address string) bool {
	conn, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}
