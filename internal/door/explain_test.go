package door

import (
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
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

func parsed(t *testing.T, raw string) scope.Scope {
	t.Helper()
	s, err := scope.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
