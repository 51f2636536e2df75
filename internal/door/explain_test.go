package door

import (
	"slices"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// TestDoorObeysItsPolicy: a request is refused for a denial, and for a scope that the policy requires and the token does
// not cover. The first reason counts.
func TestDoorObeysItsPolicy(t *testing.T) {
	held := []scope.Scope{parsed(t, "book:*:read")}
	for name, test := range map[string]struct {
		decided policy.RequestDecision
		reason  string
		needs   int
	}{
		"nothing":   {policy.RequestDecision{}, "", 0},
		"denied":    {policy.RequestDecision{Denied: []string{"at night"}}, "denied_by_policy", 0},
		"covered":   {policy.RequestDecision{Required: []scope.Scope{parsed(t, "book:1:read")}}, "", 1},
		"uncovered": {policy.RequestDecision{Required: []scope.Scope{parsed(t, "shelf:1:lock")}}, "insufficient_scope", 1},
		"both": {policy.RequestDecision{
			Denied: []string{"at night"}, Required: []scope.Scope{parsed(t, "shelf:1:lock")},
		}, "denied_by_policy", 1},
	} {
		var e explanation
		e.obey(test.decided, held)
		if e.Reason != test.reason || len(e.Required) != test.needs {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// TestExplainRefusesAsTheDoorDoes: what the door refuses before it looks for a token is explained as refused.
func TestExplainRefusesAsTheDoorDoes(t *testing.T) {
	const issuer = "https://auth.example.com"
	for name, test := range map[string]struct {
		config Config
		target string
		field  string
		reason string
	}{
		"public":                            {Config{}, "/healthz", "Accept", ""},
		"public, a token in the URL":        {Config{}, "/healthz?access_token=x", "Accept", ""},
		"keep_token, a token in the URL":    {Config{KeepToken: true}, "/healthz?access_token=x", "Accept", "malformed_request"},
		"a forged identity":                 {Config{}, "/healthz", "X-Client-Id", ""},
		"forward_auth, a forged identity":   {Config{ForwardAuth: xForwarded}, "/healthz", "X-Client-Id", "bad_forward_auth"},
		"forward_auth, another upgrade":     {Config{ForwardAuth: sameRequest}, "/healthz", "Upgrade", "bad_forward_auth"},
		"forward_auth, a header of its own": {Config{ForwardAuth: sameRequest}, "/healthz", "Accept", ""},
	} {
		test.config.Issuers = []*TrustedIssuer{{Expect: token.Expect{Issuer: issuer}}}
		test.config.Audience, test.config.NoMetadata, test.config.Host = []string{"https://api.example.com"}, true, noHost{}
		test.config.Public = []*PublicRoute{{Path: "/healthz"}}
		d, err := New(test.config)
		if err != nil {
			t.Fatal(err)
		}
		r := get(t, test.target)
		r.Header.Set(test.field, "x")
		if e := d.explain(r, Question{Issuer: issuer}); e.Reason != test.reason || e.LetThrough != (test.reason == "") {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// TestExplainSaysWhichProofIsMissing: a door that requires binding refuses a plain token, and tells what a bound one needs besides.
func TestExplainSaysWhichProofIsMissing(t *testing.T) {
	const issuer = "https://auth.example.com"
	for _, test := range []struct {
		required, bound []string
		reason          string
	}{
		{nil, nil, ""},
		{nil, []string{"dpop"}, ""},
		{[]string{"mtls"}, nil, "not_bound"},
		{[]string{"mtls"}, []string{"dpop"}, "not_bound"},
		{[]string{"dpop", "mtls"}, []string{"dpop"}, ""},
		{[]string{"mtls"}, []string{"dpop", "mtls"}, ""},
	} {
		d, err := New(Config{
			Issuers: []*TrustedIssuer{{Expect: token.Expect{Issuer: issuer, AnyAudience: true}}}, Audience: []string{"api"}, Host: noHost{},
			Binding: Binding{Required: test.required},
		})
		if err != nil {
			t.Fatal(err)
		}
		e := d.explain(get(t, "/books"), Question{Issuer: issuer, Claims: &token.Claims{Issuer: issuer}, Bound: test.bound})
		if e.Reason != test.reason || e.LetThrough != (test.reason == "") || e.LetThrough && !slices.Equal(e.Proofs, test.bound) {
			t.Errorf("%v of %v: %+v", test.bound, test.required, e)
		}
	}
}

func parsed(t *testing.T, raw string) scope.Scope {
	t.Helper()
	s, err := scope.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
