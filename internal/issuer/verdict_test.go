package issuer

import (
	"slices"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// TestVerdict: a scope whose audience the token may not have is rejected whatever the policy says of it, and the policy's own
// decision does not change.
func TestVerdict(t *testing.T) {
	t.Parallel()
	request := &tokenRequest{
		call: call{
			issuer: &Server{Config: Config{Audience: "https://own"}},
			client: &registry.Client{ID: "c", Audiences: []string{"https://own"}},
		},
		resources: map[string]*registry.Resource{"book": {}, "film": {Audience: "https://films"}},
	}
	for _, raw := range []string{"book:1:read", "film:1:read", "book:2:read", "none:1:read"} {
		s, err := scope.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		request.requested = append(request.requested, s)
	}
	granted := []string{"book:1:read", "film:1:read"}
	rejected := []policy.Rejection{{Scope: "none:1:read", Reason: "unknown_resource"}, {Scope: "book:2:read", Reason: "not_granted"}}
	decided := policy.TokenDecision{Granted: slices.Clone(granted), Rejected: slices.Clone(rejected), TTL: time.Minute, Revision: "r"}
	verdict := request.verdict(decided)
	want := []policy.Rejection{
		{Scope: "film:1:read", Reason: reasonOtherAudience}, {Scope: "book:2:read", Reason: "not_granted"}, {Scope: "none:1:read", Reason: "unknown_resource"},
	}
	if !slices.Equal(verdict.Granted, []string{"book:1:read"}) || !slices.Equal(verdict.Rejected, want) {
		t.Errorf("granted are %q, rejected %v", verdict.Granted, verdict.Rejected)
	}
	if verdict.TTL != time.Minute || verdict.Revision != "r" {
		t.Errorf("the verdict lost the lifetime %v or the revision %q", verdict.TTL, verdict.Revision)
	}
	if !slices.Equal(decided.Granted, granted) || !slices.Equal(decided.Rejected, rejected) {
		t.Errorf("the decision became %q, %v", decided.Granted, decided.Rejected)
	}
	if none := request.verdict(policy.TokenDecision{}); len(none.Granted) > 0 || len(none.Rejected) != 4 {
		t.Errorf("without a decision granted are %q, rejected %v", none.Granted, none.Rejected)
	}
}
