package issuer

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
	"github.com/caddy-m2m/caddy-m2m/internal/slowdown"
)

// oneSecret is a registry in which each client has the secret "right", except those that are disabled or that it does not have.
type oneSecret struct{ Registry }

func (oneSecret) Authenticate(_ context.Context, id, secret string, _ time.Time) (*registry.Client, string, error) {
	switch {
	case strings.HasPrefix(id, "unknown"):
		return nil, "", &registry.Refusal{Reason: registry.UnknownClient}
	case strings.HasPrefix(id, "disabled"):
		return nil, "", &registry.Refusal{Reason: registry.ClientDisabled, ClientID: id}
	case secret != "right":
		return nil, "", &registry.Refusal{Reason: registry.WrongSecret, ClientID: id}
	}
	return &registry.Client{ID: id}, "s1", nil
}

// addressHost is a web server that knows its callers by RemoteAddr alone.
type addressHost struct{ testHost }

func (addressHost) ClientIP(r *http.Request) string { return r.RemoteAddr }

func (addressHost) TrustedProxy(*http.Request) bool { return false }

func slowServer(t *testing.T) (*Server, *observer.ObservedLogs) {
	set, err := metrics.New(prometheus.NewPedanticRegistry())
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.InfoLevel)
	return &Server{Config: Config{
		URL: "https://auth.example.com", Logger: zap.New(core), Host: addressHost{}, Metrics: set.Issuer("https://auth.example.com"),
		Registry: oneSecret{}, Usage: store.NewUsage(nil, ""), Failures: slowdown.New(),
	}}, logs
}

// try authenticates, and returns the answer, "" if it succeeds, and how long that took.
func (s *Server) try(ctx context.Context, id, secret, address string) (answer string, took time.Duration) {
	request := httptest.NewRequest(http.MethodPost, "/oauth2/token", nil)
	request.RemoteAddr = address
	began := time.Now()
	c := &call{issuer: s, http: request, start: began}
	refused := c.authenticate(ctx, oauth.Credentials{ClientID: id, Secret: secret, Method: oauth.ClientSecretPost}, func(_ string, err error) *oauth.Error { return oauth.Unavailable(err.Error()) })
	took = time.Since(began)
	if refused == nil {
		return "", took
	}
	w := httptest.NewRecorder()
	refused.Write(w)
	return fmt.Sprint(w.Code, w.Header(), w.Body), took
}

// TestFailuresAreSlowedDown: each answer has the same bytes, and comes at the same moment whether a client has the ID or not.
func TestFailuresAreSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, logs := slowServer(t)
		first, _ := s.try(t.Context(), "ant", "wrong", "192.0.2.9")
		var delays []string
		for n, id := range []string{"bot", "unknown", "disabled"} {
			began, times := time.Now(), ""
			for range 20 {
				answer, took := s.try(t.Context(), id, "wrong", "192.0.2."+fmt.Sprint(n))
				if times += fmt.Sprint(" ", took); answer != first {
					t.Fatalf("%s is answered with %s", id, answer)
				}
			}
			if delays = append(delays, times); time.Since(began) < 10*time.Second {
				t.Errorf("20 failures of %s take %s", id, times)
			}
		}
		if delays[0] != delays[1] || delays[1] != delays[2] {
			t.Errorf("the answers take %q", delays)
		}
		s.logFailing(time.Now())
		slowed := make(map[string]int64)
		for _, line := range logs.FilterMessage("a client is refused").All() {
			f := line.ContextMap()
			slowed[f["client_id"].(string)] = f["slowed_down"].(int64)
		}
		if len(slowed) != 3 || slowed["bot"] == 0 || slowed["bot"] != slowed["disabled"] || slowed["ant"] != 0 {
			t.Errorf("the log says that %v were slowed down", slowed)
		}
	})
}

// TestRightSecretsAreNeverSlowedDown: neither from another network nor from that of an attacker who uses the client's ID, also
// while as many of the attacker's answers wait as may.
func TestRightSecretsAreNeverSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := slowServer(t)
		attack, stop := context.WithCancel(t.Context())
		for n := range 3000 {
			go s.try(attack, []string{"bot", fmt.Sprint("unknown", n)}[n%2], "wrong", "192.0.2.1")
		}
		time.Sleep(time.Millisecond)
		if s.Failures.Waiting() == 0 {
			t.Fatal("no answer waits")
		}
		answer, took := s.try(t.Context(), "unknown client", "wrong", "192.0.2.1")
		if !strings.HasPrefix(answer, "429") || !strings.Contains(answer, "Retry-After:[3]") || took != 0 {
			t.Errorf("beyond the bound, the answer is %s after %s", answer, took)
		}
		for _, address := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::1"} {
			if answer, took := s.try(t.Context(), "bot", "right", address); answer != "" || took != 0 {
				t.Errorf("the client, from %s, is answered with %s after %s", address, answer, took)
			}
		}
		if answer, took := s.try(t.Context(), "bot", "wrong", "192.0.2.2"); !strings.HasPrefix(answer, "401") || took != 0 {
			t.Errorf("a failure from another network is answered with %s after %s", answer, took)
		}
		stop()
		synctest.Wait()
		if n := s.Failures.Waiting(); n != 0 {
			t.Errorf("%d answers wait for callers that have gone", n)
		}
	})
}
