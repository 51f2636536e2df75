package cluster_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

var jose = flag.String("jose", "", "a script that verifies tokens with npm's jose, as tests/npm/rotation.mjs does")

const (
	period  = 6 * time.Second
	oldest  = 1100 * time.Millisecond // when a token is used for the last time; it is good for 2 s
	maxKeys = 3
)

// verifier is who takes tokens, and says why not.
type verifier interface {
	verify(raw string) error
}

// strict is the strictest of clients: it keeps the published keys for as long as they say, and does not ask for them
// again before, whatever it meets.
type strict struct {
	issuer string
	mu     sync.Mutex
	keys   jwt.Keyfunc
	until  time.Time
}

func (s *strict) get() (jwt.Keyfunc, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Before(s.until) {
		return s.keys, nil
	}
	a, err := ask(plain, http.MethodGet, s.issuer+"/oauth2/jwks", "")
	if err != nil {
		return nil, err
	}
	keys, err := keyfunc.NewJWKSetJSON([]byte(a.body))
	if err != nil {
		return nil, err
	}
	seconds, err := strconv.Atoi(strings.TrimPrefix(a.header.Get("Cache-Control"), "public, max-age="))
	if err != nil || seconds != 1 {
		return nil, fmt.Errorf("Cache-Control is %q", a.header.Get("Cache-Control"))
	}
	s.keys, s.until = keys.Keyfunc, now.Add(time.Duration(seconds)*time.Second)
	return s.keys, nil
}

func (s *strict) verify(raw string) error {
	keys, err := s.get()
	if err == nil {
		_, err = jwt.Parse(raw, keys, jwt.WithLeeway(time.Minute))
	}
	return err
}

type goOIDC struct{ *oidc.RemoteKeySet }

func (o goOIDC) verify(raw string) error {
	_, err := o.VerifySignature(context.Background(), raw)
	return err
}

// door is a node's m2m_auth.
type door struct{ *node }

func (d door) verify(raw string) error {
	a, err := ask(plain, http.MethodGet, d.url+"/books/1", "", "Authorization", "Bearer "+raw)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("%s", a)
	}
	return err
}

// script is a process that reads tokens, a line each, and answers each with a line: "ok", or why not.
type script struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Scanner
}

func startScript(t testing.TB, name string, args ...string) *script {
	t.Helper()
	process := exec.Command(name, args...)
	process.Stderr = os.Stderr
	in, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = process.Wait()
	})
	return &script{in: in, out: bufio.NewScanner(out)}
}

func (s *script) verify(raw string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := fmt.Fprintln(s.in, raw); err != nil {
		return err
	}
	if !s.out.Scan() {
		return fmt.Errorf("the script has ended: %v", s.out.Err())
	}
	if line := s.out.Text(); line != "ok" {
		return fmt.Errorf("%s", line)
	}
	return nil
}

// TestRotation checks that over more than three rotations by two nodes, one of which is killed meanwhile, no verifier refuses
// a new token or one that is about to expire, and that there is one rotation in each period.
func TestRotation(t *testing.T) {
	servertest.SkipUnlessLong(t)
	c := newCluster(t, "token_ttl 2s", servertest.QuickKeys(period)).start()
	bot := c.client("ci-bot")
	within(t, 10*time.Second, "B knows the client", bot.answered(c.b, 200))
	// not a door elsewhere, which keeps keys for a minute at least
	verifiers := map[string]verifier{
		"a client with cached keys": &strict{issuer: c.URL},
		"go-oidc":                   goOIDC{oidc.NewRemoteKeySet(t.Context(), c.URL+"/oauth2/jwks")},
		"the door of A":             door{c.a},
		"the door of B":             door{c.b},
	}
	if *jose != "" {
		verifiers["jose"] = startScript(t, "node", *jose, c.URL)
	}
	watch, seen := watchKeys(t, c.storage)
	var down atomic.Bool // node B does not run
	var signers sync.Map // when a key signed first
	check := func(raw string, got time.Time) {
		kid := kidOf(raw)
		signers.LoadOrStore(kid, time.Now())
		for name, v := range verifiers {
			missing := down.Load()
			err := v.verify(raw)
			switch {
			case err == nil, time.Since(got) > 1900*time.Millisecond: // it may have expired by then
			case name == "the door of B" && (missing || down.Load()):
			default:
				t.Errorf("%s refuses a token of key %s, %s old: %v", name, kid, time.Since(got), err)
			}
		}
	}
	var done atomic.Bool
	var tokens atomic.Int64
	var clients sync.WaitGroup
	defer clients.Wait()
	defer done.Store(true)
	for range 2 {
		clients.Go(func() {
			for !done.Load() && !t.Failed() {
				got := time.Now()
				a, err := bot.token(plain, c.URL)
				raw, _ := a.field("access_token").(string)
				if err != nil || raw == "" {
					t.Errorf("no token: %s, %v", a, err)
					return
				}
				tokens.Add(1)
				watch.issued(kidOf(raw), got, time.Now())
				clients.Go(func() {
					check(raw, got)
					time.Sleep(time.Until(got.Add(oldest)))
					check(raw, got)
				})
				time.Sleep(20 * time.Millisecond) // the test needs many requests, not the highest rate
			}
		})
	}
	signed := func() (count int) {
		signers.Range(func(any, any) bool { count++; return true })
		return count
	}
	rotations := func(least int) {
		t.Helper()
		within(t, time.Minute, fmt.Sprint(least, " keys have signed"), func() bool { return signed() >= least || t.Failed() })
	}
	rotations(3)
	down.Store(true)
	c.b.kill()
	rotations(4) // only A runs
	c.b.start()
	down.Store(false)
	rotations(5)
	done.Store(true)
	clients.Wait()
	seen()
	watch.check(t)
	t.Logf("%d tokens of %d keys", tokens.Load(), signed())
	within(t, 10*time.Second, "the nodes publish the same", func() bool {
		return must(t, "GET", c.a.url+"/oauth2/jwks", "").body == must(t, "GET", c.b.url+"/oauth2/jwks", "").body
	})
	within(t, 10*time.Second, "former keys are dropped", func() bool {
		stored, err := filepath.Glob(filepath.Join(c.storage, "m2m", "*", "keys", "*.json"))
		return err == nil && len(stored) <= maxKeys
	})
	for _, n := range []*node{c.a, c.b} {
		if n.metric("caddy_m2m_keys", `state="active"`) != "1" || n.metric("caddy_m2m_reload_healthy", `kind="keys"`) != "1" {
			t.Errorf("the gauges of %s differ", n.url)
		}
	}
}

func kidOf(raw string) string {
	parsed, _, err := jwt.NewParser().ParseUnverified(raw, jwt.MapClaims{})
	if err != nil {
		return err.Error()
	}
	kid, _ := parsed.Header["kid"].(string)
	return kid
}
