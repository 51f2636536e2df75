package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/admission"
	"github.com/caddy-m2m/caddy-m2m/internal/keyring"
	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/file"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

var raceDetector bool

const benchRegistry = `resources:
  book:
    description: Books of the catalogue
    actions: {read: Read a book, edit: Change a book}
%sclients:
  demo:
    attributes: {team: catalogue}
    secrets: [{id: s1, sha256: %q}]
    grants:
      - {resource: book, identifiers: ["*"], actions: [read, edit]}
%s`

// manyGrants are grants beside those that a request needs, and their resources.
func manyGrants(n int) (resources, grants string) {
	for i := range n {
		resources += fmt.Sprintf("  r%d: {actions: {read: Read}}\n", i)
		grants += fmt.Sprintf("      - {resource: r%d, identifiers: [\"*\"], actions: [read]}\n", i)
	}
	return resources, grants
}

// benchServer returns a server with all its parts but Caddy, and the secret of the client demo. The lines of the decision
// log go to w.
func benchServer(tb testing.TB, alg token.Alg, rego string, w io.Writer, others int) (s *Server, secret string) {
	tb.Helper()
	resources, grants := manyGrants(others)
	const issuer = "https://auth.example.com"
	set, err := metrics.New(prometheus.NewPedanticRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	secret = registry.NewSecret()
	dir := tb.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		return name
	}
	clients, err := file.Open(write("registry.yaml", fmt.Sprintf(benchRegistry, resources, registry.HashSecret(secret), grants)))
	if err != nil {
		tb.Fatal(err)
	}
	config := policy.Config{Timeout: 20 * time.Second} // others may be busy here
	if rego != "" {
		config.Paths = []string{write("policy.rego", rego)}
	}
	engine, err := policy.Load(config)
	if err != nil {
		tb.Fatal(err)
	}
	disk := &certmagic.FileStorage{Path: filepath.Join(dir, "storage")}
	decisions := zap.NewNop()
	if w != nil {
		encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
		decisions = logmask.Logger(zap.New(zapcore.NewCore(encoder, zapcore.AddSync(w), zap.InfoLevel)))
	}
	times := keyring.Times{MaxAge: 5 * time.Minute, Poll: 5 * time.Second, Leeway: token.MaxLeeway, TTL: 10 * time.Minute}
	s = New(Config{
		URL: issuer, Audience: issuer, TokenTTL: 10 * time.Minute, Logger: zap.NewNop(), Decisions: decisions, Metrics: set.Issuer(issuer),
		Admission: admission.New(2), ClientLimits: admission.Limits{Rate: 1e9, Burst: 1e9, Concurrent: 1000},
		Host: testHost{}, Registry: clients, Policy: engine, Usage: store.NewUsage(disk, "usage"),
		Keys: keyring.New(disk, "m2m/issuer", alg, times, nil, zap.NewNop()),
	})
	tb.Cleanup(engine.Close)
	return s, secret
}

// memoryWriter is a response in memory, of a server that knows deadlines.
type memoryWriter struct {
	header http.Header
	status int
	body   []byte
}

func (w *memoryWriter) Header() http.Header             { return w.header }
func (w *memoryWriter) WriteHeader(status int)          { w.status = status }
func (w *memoryWriter) SetReadDeadline(time.Time) error { return nil }
func (w *memoryWriter) Write(b []byte) (int, error) {
	w.body = append(w.body[:0], b...)
	return len(b), nil
}

// tokenCall returns a func that requests a token with a form.
func tokenCall(tb testing.TB, s *Server, secret string) (call func(), form url.Values) {
	tb.Helper()
	form = url.Values{
		"grant_type": {"client_credentials"}, "scope": {"book:*:read book:*:edit"}, "client_id": {"demo"}, "client_secret": {secret},
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.URL+"/oauth2/token", nil)
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	b := new(strings.Reader)
	r.Body = io.NopCloser(b)
	w := &memoryWriter{header: make(http.Header)}
	call = func() {
		text := form.Encode()
		b.Reset(text)
		r.ContentLength = int64(len(text))
		clear(w.header)
		s.serveToken(w, r)
		if w.status != http.StatusOK {
			tb.Fatalf("%d: %s", w.status, w.body)
		}
	}
	call()
	return call, form
}

// TestTokenAllocations bounds what the handler of the token endpoint allocates besides the signature.
func TestTokenAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	s, secret := benchServer(t, token.ES256, "", io.Discard, 0)
	call, _ := tokenCall(t, s, secret)
	all := testing.AllocsPerRun(200, call)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(nil)
	signature := testing.AllocsPerRun(200, func() { _, _ = ecdsa.SignASN1(rand.Reader, key, digest[:]) })
	if most := 30.0; all-signature > most {
		t.Errorf("a token takes %v allocations, of which the signature takes %v; the rest may be %v", all, signature, most)
	}
}

// BenchmarkToken measures the handler of the token endpoint, without Caddy and net/http.
func BenchmarkToken(b *testing.B) {
	for _, bench := range []struct {
		name, rego string
		alg        token.Alg
		log        io.Writer
	}{
		{"ES256/log", "", token.ES256, io.Discard},
		{"ES256/silent", "", token.ES256, nil},
		{"EdDSA/silent", "", token.EdDSA, nil},
		{"ES256/mask", "package m2m.log\n\nmask contains \"/input/client/attributes/team\"\n", token.ES256, io.Discard},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s, secret := benchServer(b, bench.alg, bench.rego, bench.log, 0)
			call, _ := tokenCall(b, s, secret)
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

// BenchmarkLargeToken measures the largest requests: 200 grants, and 100 scopes that no request has asked for before.
func BenchmarkLargeToken(b *testing.B) {
	for name, log := range map[string]io.Writer{"log": io.Discard, "silent": nil} {
		b.Run(name, func(b *testing.B) {
			s, secret := benchServer(b, token.ES256, "", log, 199)
			call, form := tokenCall(b, s, secret)
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				scopes := make([]string, 100)
				for i := range scopes {
					n++
					scopes[i] = fmt.Sprintf("book:%x:read", uint64(n)*0x9e3779b97f4a7c15)
				}
				form.Set("scope", strings.Join(scopes, " "))
				call()
			}
		})
	}
}
