package caddymodule_test

import (
	"net/http"
	"regexp"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestReloadUnderLoad: while the config is replaced, every request that reaches a server is
// answered with a token.
func TestReloadUnderLoad(t *testing.T) {
	w := startIssuer(t, issuerSettings{policy: map[string]string{"freeze.rego": frozen("film")}, options: "client_limits off"})
	var tokens, lost atomic.Int64
	var done atomic.Bool
	var clients sync.WaitGroup
	defer clients.Wait()
	defer done.Store(true)
	for range 8 {
		clients.Go(func() {
			for !done.Load() {
				switch status := w.status(w.form("demo", "book:read film:read")); status {
				case 0:
					lost.Add(1)
				case http.StatusOK:
					tokens.Add(1)
				default:
					t.Errorf("status %d", status)
				}
			}
		})
	}
	for n := range 5 {
		enough := tokens.Load() + 20
		servertest.Eventually(t, "tokens are issued between reloads", func() bool { return tokens.Load() >= enough })
		w.options = []string{"token_ttl 5m", "token_ttl 6m"}[n%2] + "\nclient_limits off"
		if err := w.Load(w.caddyfile()); err != nil {
			t.Fatal(err)
		}
	}
	done.Store(true)
	clients.Wait()
	if lost.Load() > tokens.Load()/2 {
		t.Errorf("%d connections were lost, %d tokens issued", lost.Load(), tokens.Load())
	}
}

// status is that of the answer to a form, 0 when there is none.
func (w *issuerWorld) status(form string) int {
	response, err := w.client.Post(w.tokenURL(), formType, strings.NewReader(form))
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	return response.StatusCode
}

// TestReloadsLeaveNoGoroutines: all goroutines end with their config.
func TestReloadsLeaveNoGoroutines(t *testing.T) {
	w := startIssuer(t, issuerSettings{policy: map[string]string{"freeze.rego": frozen("film")}})
	w.granted(w.ask("demo", "book:read"))
	before := ownGoroutines()
	for range 10 {
		if err := w.Load(w.caddyfile()); err != nil {
			t.Fatal(err)
		}
		w.granted(w.ask("demo", "book:read"))
		if err := w.Load(strings.Replace(w.caddyfile(), "m2m_issuer", "m2m_issuer https://nobody.example.com", 1)); err == nil {
			t.Fatal("a config with an unknown issuer is taken")
		}
		if err := w.Validate(w.caddyfile()); err != nil {
			t.Fatal(err)
		}
	}
	servertest.Eventually(t, "as many goroutines as before", func() bool { return ownGoroutines() <= before })
}

var own = regexp.MustCompile(`caddy-m2m/(caddymodule|policy|internal)[./]`)

// ownGoroutines counts the goroutines that run code of this module, but tests.
func ownGoroutines() int {
	var stacks strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 2)
	count := 0
	for stack := range strings.SplitSeq(stacks.String(), "\n\n") {
		if own.MatchString(stack) && !strings.Contains(stack, "internal/servertest") {
			count++
		}
	}
	return count
}

// TestFailedReloadLeavesTheFormerConfig with any error in the new config.
func TestFailedReloadLeavesTheFormerConfig(t *testing.T) {
	w := startIssuer(t, issuerSettings{policy: map[string]string{"freeze.rego": frozen("film")}})
	good := w.caddyfile()
	for name, broken := range map[string]string{
		"no registry file": strings.Replace(good, "registry.yaml", "gone.yaml", 1),
		"no policy file":   strings.Replace(good, w.dir+"/policy", w.dir+"/gone", 1),
		"unknown alg":      strings.Replace(good, "registry file", "signing_alg none\nregistry file", 1),
		"two of one URL":   strings.Replace(good, "m2m {\n", "m2m {\nissuer "+w.url+" {\nregistry file "+w.dir+"/registry.yaml\n}\n", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if err := w.Load(broken); err == nil {
				t.Error("the config is taken")
			}
			w.in(t).granted(w.ask("demo", "book:read"))
		})
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	w := startIssuer(t, issuerSettings{options: "audience " + issuerAudience})
	openID, _ := wellKnown(w.url)
	var clients sync.WaitGroup
	for n := range 50 {
		clients.Go(func() {
			for range 4 {
				if status := w.status(w.form([]string{"demo", "almighty"}[n%2], "book:read film:read revenue:read")); status != http.StatusOK {
					t.Errorf("a good request is answered with %d", status)
				}
				if status := w.status(w.form("former", "book:read")); status != http.StatusUnauthorized {
					t.Errorf("a disabled client is answered with %d", status)
				}
				if n%10 == 0 {
					w.get(openID)
					w.get(w.url + "/oauth2/jwks")
				}
			}
		})
	}
	clients.Wait()
}
