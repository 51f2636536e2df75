package caddymodule

import (
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// TestDoorObeysItsPolicy: a request is refused for a denial, and for a scope that the policy wants and the
// token does not cover; the first reason counts.
func TestDoorObeysItsPolicy(t *testing.T) {
	held := []scope.Scope{parsed(t, "book:*:read")}
	for name, test := range map[string]struct {
		said   policy.RequestExplanation
		reason string
		needs  int
	}{
		"nothing":   {policy.RequestExplanation{}, "", 0},
		"denied":    {policy.RequestExplanation{Decision: policy.RequestDecision{Denied: []string{"at night"}}}, "denied_by_policy", 0},
		"covered":   {policy.RequestExplanation{Decision: policy.RequestDecision{Required: []scope.Scope{parsed(t, "book:1:read")}}}, "", 1},
		"uncovered": {policy.RequestExplanation{Decision: policy.RequestDecision{Required: []scope.Scope{parsed(t, "shelf:1:lock")}}}, "insufficient_scope", 1},
		"both": {policy.RequestExplanation{Decision: policy.RequestDecision{
			Denied: []string{"at night"}, Required: []scope.Scope{parsed(t, "shelf:1:lock")},
		}}, "denied_by_policy", 1},
	} {
		var d doorJudgement
		d.obey(test.said, held)
		if d.Reason != test.reason || len(d.Required) != test.needs {
			t.Errorf("%s: %+v", name, d)
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
