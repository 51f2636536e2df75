package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// issuerWorld is a running issuer whose registry, policy and settings a test chooses.
type issuerWorld struct {
	*servertest.Server
	t testing.TB
	issuerSettings
	dir    string
	secret string // of every client
	client http.Client
}

// issuerSettings is what a test chooses. In the registry, HASH stands for the hash of the secret
// that every client has.
type issuerSettings struct {
	url      string            // default: on a free port
	registry string            // default: catalogue
	policy   map[string]string // files of the policy's folder
	options  string            // further lines of the issuer

	policyOptions string // lines of the policy's block
	global        string // further global options
	site          string // further directives of the site
}

// catalogue is a registry with the grants that the reference tells of, and some more.
const catalogue = `resources:
  announce: {actions: {read: "", update: ""}}
  book: {description: Books of the catalogue, actions: {read: Read a book, edit: Change a book}}
  customer: {actions: {read: ""}}
  film: {audience: "https://films.example.com", actions: {read: ""}}
  revenue: {actions: {create: "", read: "", update: ""}}
  user-growth: {actions: {read: ""}}
clients:
  demo:
    attributes: {team: catalogue}
    secrets: [{id: s1, sha256: HASH}]
    grants:
      - {resource: announce, identifiers: ["*"], actions: [read]}
      - {resource: book, identifiers: ["*"], actions: [read]}
      - {resource: book, identifiers: ["draft-*"], actions: ["*"]}
      - {resource: customer, identifiers: ["*"], actions: [read]}
      - {resource: film, identifiers: ["*"], actions: [read]}
      - {resource: revenue, identifiers: ["*"], actions: [create, read, update]}
      - {resource: user-growth, identifiers: ["2019"], actions: ["*"]}
  careful:
    secrets: [{id: s1, sha256: HASH}]
    token_ttl: 2m
    grants:
      - {resource: book, identifiers: ["*"], actions: [read]}
      - {resource: book, identifiers: ["secret-*"], actions: ["*"], effect: deny}
  almighty:
    secrets: [{id: s1, sha256: HASH}]
    grants: [{resource: "*", identifiers: ["*"], actions: ["*"]}]
  former:
    disabled: true
    secrets: [{id: s1, sha256: HASH}]
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
  outdated:
    secrets: [{id: s1, sha256: HASH, expires: 2020-01-01T00:00:00Z}]
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
`

// newIssuerWorld makes a world that Start has yet to bring to life.
func newIssuerWorld(t testing.TB, settings issuerSettings) *issuerWorld {
	t.Helper()
	w := &issuerWorld{t: t, issuerSettings: settings, dir: t.TempDir(), secret: registry.NewSecret()}
	if w.url == "" {
		w.url = servertest.FreeURL(t)
	}
	if w.registry == "" {
		w.registry = catalogue
	}
	w.client = http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	w.writeRegistry(w.registry)
	for name, content := range w.policy {
		w.writePolicy(name, content)
	}
	w.Server = servertest.New(t)
	return w
}

// startIssuer is a world with a running issuer.
func startIssuer(t testing.TB, settings issuerSettings) *issuerWorld {
	t.Helper()
	w := newIssuerWorld(t, settings)
	if err := w.Load(w.caddyfile()); err != nil {
		t.Fatalf("starting Caddy: %v", err)
	}
	return w
}

// in is the same world for a subtest.
func (w *issuerWorld) in(t testing.TB) *issuerWorld {
	own := *w
	own.t = t
	return &own
}

func (w *issuerWorld) writeRegistry(content string) {
	w.t.Helper()
	hash := `"` + registry.HashSecret(w.secret) + `"`
	servertest.ReplaceFile(w.t, w.dir, "registry.yaml", strings.ReplaceAll(content, "HASH", hash))
}

func (w *issuerWorld) writePolicy(name, content string) {
	w.t.Helper()
	servertest.ReplaceFile(w.t, w.dir, "policy/"+name, content)
}

func (w *issuerWorld) caddyfile() string {
	if w.policyOptions == "" {
		w.policyOptions = "timeout 20s" // the machine may be busy
	}
	paths := ""
	if w.policy != nil {
		paths = w.dir + "/policy"
	}
	site, _ := url.Parse(w.url)
	return fmt.Sprintf("{\n%s\nm2m {\nissuer %s {\nregistry file %s/registry.yaml\npolicy %s {\n%s\n}\n%s\n}\n}\n}\n%s {\nm2m_issuer\nmetrics /metrics\n%s\n}\n",
		w.global, w.url, w.dir, paths, w.policyOptions, w.options, "http://"+site.Host, w.site)
}

// tokenAnswer is a response, read to its end.
type tokenAnswer struct {
	status int
	header http.Header
	body   string
	tokenMembers
}

// tokenMembers are those of a token endpoint's answers, of both kinds.
type tokenMembers struct {
	AccessToken   *string `json:"access_token"`
	TokenType     string  `json:"token_type"`
	ExpiresIn     int     `json:"expires_in"`
	Scope         *string `json:"scope"`
	RejectedScope *string `json:"rejected_scope"`
	Error         string  `json:"error"`
	Description   string  `json:"error_description"`
	DecisionID    string  `json:"decision_id"`
}

func (a tokenAnswer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// do sends a request; JSON in the answer is taken apart.
func (w *issuerWorld) do(request *http.Request) tokenAnswer {
	w.t.Helper()
	response, err := w.client.Do(request)
	for range 5 { // around a reload a connection may be closed before a server has taken it
		if err == nil || request.GetBody == nil {
			break
		}
		request.Body, _ = request.GetBody()
		response, err = w.client.Do(request)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	a := tokenAnswer{status: response.StatusCode, header: response.Header, body: servertest.Body(w.t, response)}
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/json") && a.body != "" {
		if err := json.Unmarshal([]byte(a.body), &a.tokenMembers); err != nil {
			w.t.Errorf("the body %q is no JSON: %v", a.body, err)
		}
	}
	return a
}

func (w *issuerWorld) request(method, address string, body io.Reader, header ...string) *http.Request {
	w.t.Helper()
	if body == nil {
		body = strings.NewReader("")
	}
	request, err := http.NewRequest(method, address, body)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	return request
}

func (w *issuerWorld) get(address string, header ...string) tokenAnswer {
	w.t.Helper()
	return w.do(w.request(http.MethodGet, address, nil, header...))
}

func (w *issuerWorld) tokenURL() string { return w.url + "/oauth2/token" }

// post sends a form to the token endpoint.
func (w *issuerWorld) post(form string, header ...string) tokenAnswer {
	w.t.Helper()
	header = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)
	return w.do(w.request(http.MethodPost, w.tokenURL(), strings.NewReader(form), header...))
}

// postJSON sends JSON to the token endpoint.
func (w *issuerWorld) postJSON(body string) tokenAnswer {
	w.t.Helper()
	return w.do(w.request(http.MethodPost, w.tokenURL(), strings.NewReader(body), "Content-Type", "application/json"))
}

// form is a good request of a client for scopes, with more parameters.
func (w *issuerWorld) form(client, scopes string, more ...string) string {
	values := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "client_secret": {w.secret}}
	if scopes != "" {
		values.Set("scope", scopes)
	}
	for i := 0; i < len(more); i += 2 {
		values.Add(more[i], more[i+1])
	}
	return values.Encode()
}

// ask asks for a token as a client.
func (w *issuerWorld) ask(client, scopes string, more ...string) tokenAnswer {
	w.t.Helper()
	return w.post(w.form(client, scopes, more...))
}

// granted fails the test unless the answer is a token with all that goes with it (RFC 6749 §5.1).
func (w *issuerWorld) granted(a tokenAnswer) {
	w.t.Helper()
	if a.status != http.StatusOK || a.AccessToken == nil || a.Scope == nil || a.RejectedScope == nil {
		w.t.Fatalf("no token: %s", a)
	}
	if a.TokenType != "Bearer" || a.ExpiresIn <= 0 {
		w.t.Errorf("token_type %q, expires_in %d", a.TokenType, a.ExpiresIn)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		w.t.Errorf("the answer may be stored: %v", a.header)
	}
}

// refusedToken fails the test unless the answer is an error as RFC 6749 §5.2 has it.
func refusedToken(t testing.TB, a tokenAnswer, status int, code string) {
	t.Helper()
	if a.status != status || a.Error != code || a.AccessToken != nil || strings.Contains(a.body, "access_token") {
		t.Fatalf("got %s, want %d %s", a, status, code)
	}
	if a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("Content-Type or Cache-Control is wrong: %v", a.header)
	}
	for i, c := range []byte(a.Description) {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("error_description has character 0x%02x at byte %d: %q", c, i, a.Description)
		}
	}
	for _, internal := range []string{".go", "/tmp", ".rego", "registry.yaml", "goroutine", "m2m_", "json:", "invalid character"} {
		if strings.Contains(a.body, internal) {
			t.Errorf("the answer shows %q: %s", internal, a.body)
		}
	}
}
