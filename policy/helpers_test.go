package policy

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// write puts files into a new folder, and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		put(t, filepath.Join(dir, name), content)
	}
	return dir
}

func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, cfg Config) *Engine {
	t.Helper()
	e, err := Load(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// loadFiles loads a policy of files alone; unlike in production nothing is to be too slow here.
func loadFiles(t *testing.T, files map[string]string) *Engine {
	t.Helper()
	return load(t, Config{Paths: []string{write(t, files)}, Timeout: generous})
}

// withoutCache makes an engine evaluate each decision.
func withoutCache(e *Engine) { e.current.Load().cache.close() }

func parse(tb testing.TB, raws ...string) []scope.Scope {
	tb.Helper()
	scopes := make([]scope.Scope, len(raws))
	for i, raw := range raws {
		s, err := scope.Parse(raw)
		if err != nil {
			tb.Fatalf("%q: %v", raw, err)
		}
		scopes[i] = s
	}
	return scopes
}

func allow(resource, identifier, action string) scope.Grant {
	return scope.Grant{Resource: resource, Identifiers: []string{identifier}, Actions: []string{action}}
}

func deny(resource, identifier, action string) scope.Grant {
	g := allow(resource, identifier, action)
	g.Deny = true
	return g
}

// request is a client with a grant on book:*:read that asks for scopes.
func request(tb testing.TB, raws ...string) TokenInput {
	tb.Helper()
	return TokenInput{
		Issuer: "https://auth.example.com",
		Client: &Client{
			ID: "ci-bot", AuthMethod: "client_secret_basic", Description: "Nightly import",
			Attributes: map[string]any{"team": "catalogue", "level": 3},
			Grants:     []scope.Grant{allow("book", "*", "read")},
		},
		Scopes: parse(tb, raws...),
		Resources: map[string]*Resource{
			"book": {
				Actions: []string{"read", "edit"}, Audience: "https://api.example.com",
				Attributes: map[string]any{"public": true},
			},
		},
		Request: TokenRequest{RemoteIP: "192.0.2.1", AuthMethod: "client_secret_basic", Audience: []string{"https://api.example.com"}},
	}
}

func decide(t *testing.T, e *Engine, in TokenInput) TokenDecision {
	t.Helper()
	d, err := e.DecideToken(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// summary is a decision in one line: what is granted | what is rejected, with reasons.
func summary(d TokenDecision) string {
	rejected := make([]string, len(d.Rejected))
	for i, r := range d.Rejected {
		rejected[i] = r.Scope + " (" + r.Reason + ")"
	}
	return strings.Join(d.Granted, " ") + " | " + strings.Join(rejected, ", ")
}

func wantKind(t *testing.T, err error, kind Kind, parts ...string) {
	t.Helper()
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want an error of kind %s", err, kind)
	}
	if failure.Kind != kind {
		t.Errorf("kind %s, want %s (%v)", failure.Kind, kind, err)
	}
	wantParts(t, err, parts...)
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

// blocked is a context that ends before the decision.
func blocked(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

var (
	memberOfRule = regexp.MustCompile(`(?m)^(\w+) contains (.*?)( if .*)?$`)
	valueOfRule  = regexp.MustCompile(`(?m)^(headers\[.*?\]) := (.*)$`)
)

// atRuntime hides the values of rules from the checks on load, which know what types they have.
func atRuntime(rules string) string {
	const any = `object.get({"v": $2}, "v", null)`
	rules = memberOfRule.ReplaceAllString(rules, "$1 contains "+any+"$3")
	return valueOfRule.ReplaceAllString(rules, "$1 := "+any)
}

// hidden is atRuntime for a rule of the wrong type.
func hidden(rule string, kind Kind) string {
	if kind == WrongType {
		return atRuntime(rule)
	}
	return rule
}
