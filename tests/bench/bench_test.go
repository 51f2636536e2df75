// Package bench measures the whole server over HTTP, as ratios to what the same Caddy does without
// the plugin: those hold from one machine to the next, where requests per second do not.
//
//	go test -run '^$' -bench . -count 6 ./tests/bench
//
// Everything is one process on loopback, clients and upstream included, so the plugin's part of a
// request is a little larger than the ratios say. Caddy logs at INFO, its default, to a file: a
// line for each token is among what is measured.
package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

const (
	parallelClients = 8
	// batch is the number of requests to a site before the next site's turn. A longer disturbance of the machine then
	// affects all sites.
	batch = 400
	// freshTokens is the number of requests before a token is used again.
	freshTokens = 5000
)

const serverCaddyfile = `{
	m2m {
		issuer %[1]s {
			registry file %[7]s
			client_limits off
			policy {
				timeout 20s # others may be busy here
			}
		}
	}
}
%[1]s {
	m2m_issuer
}
%[2]s {
	respond "ok"
}
%[3]s {
	bench_sign
}
%[4]s {
	reverse_proxy %[6]s
}
%[5]s {
	m2m_auth {
		require GET /books book:*:read
	}
	reverse_proxy %[6]s
}
`

const serverRegistry = `resources:
  book:
    description: Books of the catalogue
    actions: {read: Read a book, edit: Change a book}
clients:
  demo:
    attributes: {team: catalogue}
    secrets: [{id: s1, sha256: %q}]
    grants:
      - {resource: book, identifiers: ["*"], actions: [read, edit]}
`

// server is one Caddy with all the sites.
type server struct {
	*servertest.Server
	caddyfile                          string
	issuer, respond, sign, proxy, door string // URLs
	secret                             string
}

func startServer(b *testing.B) *server {
	b.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	b.Cleanup(upstream.Close)
	s := &server{secret: registry.NewSecret()}
	for _, site := range []*string{&s.issuer, &s.respond, &s.sign, &s.proxy, &s.door} {
		*site = servertest.FreeURL(b)
	}
	clients := servertest.WriteFile(b, b.TempDir(), "registry.yaml", fmt.Sprintf(serverRegistry, registry.HashSecret(s.secret)))
	s.caddyfile = fmt.Sprintf(serverCaddyfile, s.issuer, s.respond, s.sign, s.proxy, s.door, upstream.Listener.Addr(), clients)
	s.Server = servertest.New(b)
	s.LogLevel = "INFO"
	s.load(b)
	return s
}

func (s *server) load(b *testing.B) {
	b.Helper()
	if err := s.Load(s.caddyfile); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkTokenEndpoint compares issuing a token for two scopes with the least that Caddy can do,
// and with the least that can be called signing.
func BenchmarkTokenEndpoint(b *testing.B) {
	s := startServer(b)
	token := newTarget(b, "token", s.issuer, s.tokenRequest(b))
	respond := newTarget(b, "respond", s.respond, get(b, s.respond, ""))
	sign := newTarget(b, "sign", s.sign, get(b, s.sign, ""))
	compare(b, token, respond, sign)
	b.ReportMetric(respond.rate()/token.rate(), "respond/token")
	b.ReportMetric(sign.rate()/token.rate(), "sign/token")
}

// BenchmarkDecisionLog compares issuing tokens with the decision log and without. Each has the config
// to itself for a few batches, of which the first is not measured, for its config is new. The ratio by
// CPU time is the same one where nothing else runs, and the better one elsewhere.
func BenchmarkDecisionLog(b *testing.B) {
	s := startServer(b)
	logged := newTarget(b, "logged", s.issuer, s.tokenRequest(b))
	silent := newTarget(b, "silent", s.issuer, s.tokenRequest(b))
	turns := []struct {
		*target
		silent []string
	}{{logged, nil}, {silent, []string{"m2m.decisions"}}}
	for b.Loop() {
		for _, turn := range turns {
			s.Silent = turn.silent
			s.load(b)
			turn.redial(b)
			turn.warmUp(b)
			for range 5 {
				turn.round(b)
			}
		}
		if b.Failed() {
			b.FailNow()
		}
	}
	report(b, logged, silent)
	b.ReportMetric(logged.rate()/silent.rate(), "logged/silent")
	b.ReportMetric(float64(silent.cpu)/float64(silent.answered)/(float64(logged.cpu)/float64(logged.answered)), "logged/silent-by-cpu")
}

// BenchmarkProxy compares reverse_proxy behind m2m_auth with reverse_proxy alone.
func BenchmarkProxy(b *testing.B) {
	s := startServer(b)
	proxy := newTarget(b, "proxy", s.proxy, get(b, s.proxy, ""))
	tokens := s.tokens(b, freshTokens)
	requests := make([]*http.Request, len(tokens))
	for i, token := range tokens {
		requests[i] = get(b, s.door, token)
	}
	same := newTarget(b, "same-token", s.door, requests[0])
	fresh := newTarget(b, "fresh-token", s.door, requests[1:]...)
	compare(b, proxy, same, fresh)
	b.ReportMetric(same.rate()/proxy.rate(), "same-token/proxy")
	b.ReportMetric(fresh.rate()/proxy.rate(), "fresh-token/proxy")
}

// compare has the targets take turns, and reports their requests per second.
func compare(b *testing.B, targets ...*target) {
	b.Helper()
	for b.Loop() {
		for _, t := range targets {
			t.round(b)
		}
		if b.Failed() {
			b.FailNow()
		}
	}
	report(b, targets...)
}

func report(b *testing.B, targets ...*target) {
	b.ReportMetric(0, "ns/op") // the time of a round of all targets says nothing
	for _, t := range targets {
		b.ReportMetric(t.rate(), t.name+"/s")
	}
}

// tokens are that many tokens, from the issuer itself.
func (s *server) tokens(b *testing.B, n int) []string {
	b.Helper()
	t := newTarget(b, "token", s.issuer, s.tokenRequest(b))
	tokens := make([]string, n)
	for i := range tokens {
		body, err := t.clients[0].send(t.requests[0])
		if err != nil {
			b.Fatal(err)
		}
		var answer struct {
			AccessToken string `json:"access_token"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			b.Fatal(err)
		}
		tokens[i] = answer.AccessToken
	}
	return tokens
}

func (s *server) tokenRequest(b *testing.B) *http.Request {
	b.Helper()
	form := url.Values{
		"grant_type": {"client_credentials"}, "scope": {"book:*:read book:*:edit"},
		"client_id": {"demo"}, "client_secret": {s.secret},
	}
	r, err := http.NewRequest(http.MethodPost, s.issuer+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// get is a request for books, with the token if there is one.
func get(b *testing.B, site, token string) *http.Request {
	b.Helper()
	r, err := http.NewRequest(http.MethodGet, site+"/books", nil)
	if err != nil {
		b.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}
