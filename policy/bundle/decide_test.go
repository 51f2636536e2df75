package bundle_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// generous is a timeout that no decision exceeds, however busy the machine is.
const generous = 20 * time.Second

func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, cfg policy.Config) *policy.Engine {
	t.Helper()
	e, err := policy.Load(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// request asks for scopes of books, which the client may read.
func request(t testing.TB, raws ...string) policy.TokenInput {
	t.Helper()
	in := policy.TokenInput{Client: &policy.Client{
		ID: "ci-bot", Grants: []scope.Grant{{Resource: "book", Identifiers: []string{"*"}, Actions: []string{"read"}}},
	}}
	for _, raw := range raws {
		s, err := scope.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		in.Scopes = append(in.Scopes, s)
	}
	return in
}

func decide(t *testing.T, e *policy.Engine, in policy.TokenInput) policy.TokenDecision {
	t.Helper()
	d, err := e.DecideToken(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ttlFile(seconds int) string {
	return fmt.Sprintf("package m2m.token\n\nttl contains %d\n", seconds)
}

func wantTTL(t *testing.T, e *policy.Engine, seconds int) {
	t.Helper()
	if d := decide(t, e, request(t, "book:1:read")); d.TTL != time.Duration(seconds)*time.Second {
		t.Errorf("ttl %v, want %ds", d.TTL, seconds)
	}
}

func reload(t *testing.T, e *policy.Engine, want bool) {
	t.Helper()
	if changed, err := e.Reload(); changed != want || err != nil {
		t.Fatalf("changed %v, %v; want %v", changed, err, want)
	}
}

func wantNotReady(t *testing.T, err error) {
	t.Helper()
	var failure *policy.Error
	if !errors.As(err, &failure) || failure.Kind != policy.NotReady {
		t.Errorf("got %v, want an error of kind %s", err, policy.NotReady)
	}
}

func wantParts(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not have %q", err, part)
		}
	}
}
