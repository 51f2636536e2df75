package issuer

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
)

// testHost is a web server whose callers all have one address.
type testHost struct{}

func (testHost) AddLogFields(*http.Request, ...zap.Field) {}

func (testHost) ClientIP(*http.Request) string { return "192.0.2.1" }

func (testHost) TrustedProxy(*http.Request) bool { return false }

// testServer returns a server without storage that logs nothing.
func testServer(t testing.TB) *Server {
	t.Helper()
	set, err := metrics.New(prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return &Server{Config: Config{Logger: zap.NewNop(), Host: testHost{}, Metrics: set.Issuer("https://auth.example.com")}}
}

// TestFailingClientsAreLogged: one line a minute for each client and reason, with a count, and no line about made-up clients.
func TestFailingClientsAreLogged(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	s := testServer(t)
	s.Logger = zap.New(core)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	lines := func(after time.Duration) (got []string) {
		now = now.Add(after)
		s.logFailing(now)
		for _, entry := range logs.TakeAll() {
			f := entry.ContextMap()
			got = append(got, fmt.Sprint(entry.Level, " ", f["client_id"], " ", f["reason"], " ", f["count"], " ", f["remote_ip"], " ", f["path"]))
		}
		return got
	}
	fail := func(client, reason string) {
		s.failing.add(refused{client, reason}, false, "192.0.2.1", "/oauth2/token", "")
	}
	want := func(got []string, want ...string) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("logged %q, want %q", got, want)
		}
	}
	fail("ci-bot", "wrong_secret")
	fail("", "unknown_client")
	fail("ci-bot", "wrong_secret")
	want(lines(time.Second), "warn ci-bot wrong_secret 2 192.0.2.1 /oauth2/token")
	fail("ci-bot", "wrong_secret")
	want(lines(time.Second))
	fail("ci-bot", "secret_expired")
	want(lines(time.Second), "warn ci-bot secret_expired 1 192.0.2.1 /oauth2/token")
	fail("ci-bot", "wrong_secret")
	want(lines(time.Minute), "warn ci-bot wrong_secret 2 192.0.2.1 /oauth2/token")
	want(lines(time.Hour))
}

// TestFailingClientsAreBounded: however many clients fail, the lines and the memory have a bound, and all refusals are counted.
func TestFailingClientsAreBounded(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	s := testServer(t)
	s.Logger = zap.New(core)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := range 5000 {
		s.failing.add(refused{fmt.Sprint("client-", n), "wrong_secret"}, false, "192.0.2.1", "/oauth2/token", "")
		s.failing.add(refused{"", fmt.Sprint("reason-", n)}, false, "192.0.2.1", "/oauth2/token", "")
	}
	if len(s.failing.waiting) > maxFailing {
		t.Errorf("%d clients wait", len(s.failing.waiting))
	}
	counted := 0
	for minute := range 120 {
		for range 3 {
			now = now.Add(20 * time.Second)
			s.logFailing(now)
		}
		entries := logs.TakeAll()
		if len(entries) > maxFailingLines+1 || minute == 0 && len(entries) == 0 {
			t.Fatalf("%d lines in a minute", len(entries))
		}
		for _, entry := range entries {
			counted += int(entry.ContextMap()["count"].(int64))
		}
	}
	if len(s.failing.waiting) > 0 || len(s.failing.logged) > 0 || counted != 5000 {
		t.Errorf("%d wait, %d are remembered, %d are counted", len(s.failing.waiting), len(s.failing.logged), counted)
	}
}
