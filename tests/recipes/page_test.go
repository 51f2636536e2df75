// Package recipes_test runs the Caddyfiles of docs/recipes.md and docs/forward-auth.md, and the nginx configuration of the
// latter, with real requests. It is a module of its own because of the plugins and programs that the recipes need.
package recipes_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// block returns the nth block of a language below a heading of a page. The first one is 1.
func block(t *testing.T, page, heading, language string, nth int) string {
	t.Helper()
	return servertest.Block(t, "../../docs/"+page, heading, language, nth)
}

// recipe is a recipe that runs, with an issuer and an upstream that echoes requests.
type recipe struct {
	*servertest.Server
	t        *testing.T
	issuer   *servertest.Issuer
	api      string // URL of api.example.com
	dir      string // stands for /etc/caddy and /var/log/caddy
	upstream string // host:port of books:8080
	sites    map[string]string
	secret   string // of all clients, of runIssuer
}

// newRecipe starts everything but the recipe itself.
func newRecipe(t *testing.T) *recipe {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(upstream.Close)
	r := &recipe{t: t, issuer: servertest.StartIssuer(t), dir: t.TempDir(), upstream: strings.TrimPrefix(upstream.URL, "http://")}
	r.sites = map[string]string{"auth.example.com": r.issuer.URL}
	r.api = r.site("api.example.com")
	r.Server = servertest.New(t)
	return r
}

// site gives a site of the page a URL on loopback.
func (r *recipe) site(name string) string {
	if r.sites[name] == "" {
		r.sites[name] = servertest.FreeURL(r.t)
	}
	return r.sites[name]
}

// local replaces the sites, the upstream and the folders of a page by those of the test. Nothing else is changed.
func (r *recipe) local(text string) string {
	for name, url := range r.sites {
		text = strings.ReplaceAll(text, "https://"+name, url)
		text = strings.ReplaceAll(text, "\n"+name+" {", "\n"+url+" {")
	}
	text = strings.ReplaceAll(text, "books:8080", r.upstream)
	text = strings.ReplaceAll(text, "/var/log/caddy", r.dir)
	return strings.ReplaceAll(text, "/etc/caddy", r.dir)
}

// run runs a Caddyfile of a page.
func (r *recipe) run(caddyfile string) {
	r.t.Helper()
	caddyfile = strings.TrimPrefix(r.local("\n"+caddyfile), "\n")
	r.Change = func(config map[string]any) { keepLogs(r.t, caddyfile, config) }
	if err := r.Load(caddyfile); err != nil {
		r.t.Fatalf("running the recipe: %v\n%s", err, caddyfile)
	}
}

// keepLogs adds the recipe's own logs to those of the test.
func keepLogs(t *testing.T, caddyfile string, config map[string]any) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	var own struct {
		Logging struct{ Logs map[string]any }
	}
	if err := json.Unmarshal(adapted, &own); err != nil {
		t.Fatal(err)
	}
	logs := config["logging"].(map[string]any)["logs"].(map[string]any)
	for name, log := range own.Logging.Logs {
		if name != "default" {
			logs[name] = log
		}
	}
}

// token returns a token of a client for api.example.com, with scopes.
func (r *recipe) token(client, scope string) string { return r.tokenFor(r.api, client, scope) }

func (r *recipe) tokenFor(audience, client, scope string) string {
	return r.issuer.Sign(r.issuer.Claims(audience, scope, map[string]any{"sub": client, "client_id": client}), nil)
}

// echo answers with what an upstream sees of a request.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s body=%s\n", r.Method, r.RequestURI, body)
	_ = r.Header.Write(w)
	_ = r.Trailer.Write(w)
}

// answer is a response that was read.
type answer struct {
	*http.Response
	body string
}

// ask sends a request, with headers given as pairs.
func ask(t *testing.T, method, url string, headers ...string) *answer {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(headers); n += 2 {
		request.Header.Add(headers[n], headers[n+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return &answer{response, servertest.Body(t, response)}
}

// expect checks the status of an answer, and that its body contains each text.
func (a *answer) expect(t *testing.T, what string, status int, texts ...string) *answer {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("%s: %d %s, want %d", what, a.StatusCode, a.body, status)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("%s: %q is not in %s", what, text, a.body)
		}
	}
	return a
}

// without checks that the body of an answer contains none of the texts.
func (a *answer) without(t *testing.T, what string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			t.Errorf("%s: %q is in %s", what, text, a.body)
		}
	}
}

func bearer(token string) string { return "Bearer " + token }
