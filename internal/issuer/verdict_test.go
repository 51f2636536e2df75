package issuer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
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
			issuer:        &Server{Config: Config{Audience: "https://own"}},
			authenticated: authenticated{client: &registry.Client{ID: "c", Audiences: []string{"https://own"}}},
		},
		resources: map[string]*policy.Resource{"book": {Audience: "https://own"}, "film": {Audience: "https://films"}},
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

// TestListOf: the list is the same whether the request has it or not.
func TestListOf(t *testing.T) {
	t.Parallel()
	lists := []string{"", "a", "b", "a b", "b a", "a b c", "ab", "a  b", " a", "a ", "a b ", "a a b"}
	for _, list := range lists {
		raws := strings.Fields(list)
		for _, requested := range lists {
			if got, want := listOf(raws, requested), strings.Join(raws, " "); got != want {
				t.Errorf("%q of the request %q is %q, want %q", raws, requested, got, want)
			}
		}
	}
}

// TestVerdictProperty compares verdicts and audiences with those of the definition, scope by scope.
func TestVerdictProperty(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	audiences := []string{"https://own", "https://films", "https://cars"}
	some := func(texts []string) (kept []string) {
		for _, text := range texts {
			if r.IntN(3) > 0 {
				kept = append(kept, text)
			}
		}
		return kept
	}
	for range 5000 {
		request := &tokenRequest{
			call:      call{issuer: &Server{Config: Config{Audience: audiences[0]}}, authenticated: authenticated{client: &registry.Client{ID: "c"}}},
			resources: map[string]*policy.Resource{"book": {Audience: audiences[0]}, "film": {Audience: audiences[1]}, "car": {Audience: audiences[2]}},
			every:     some(audiences),
			oauth:     &oauth.TokenRequest{Scope: "book:1:read film:1:read"},
		}
		if r.IntN(2) == 0 {
			request.client.Audiences = some(audiences)
		}
		var decided policy.TokenDecision
		rejects := r.IntN(2) == 0
		for _, raw := range some([]string{"book:1:read", "*", "film:1:read", "none:1:read", "book:2:read", "car:1:read"}) {
			s, err := scope.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			request.requested = append(request.requested, s)
			switch n := r.IntN(6); {
			case rejects && n == 0:
				decided.Rejected = append(decided.Rejected, policy.Rejection{Scope: raw, Reason: "r"})
			case !rejects || n > 1:
				decided.Granted = append(decided.Granted, raw)
			}
		}
		var granted, wantAudience []string
		var rejected []policy.Rejection
		for _, s := range request.requested {
			of := request.every
			if s.Resource != scope.Any {
				of = slices.DeleteFunc([]string{request.resourceAudience(s.Resource)}, func(a string) bool { return !request.mayHave(a) })
			}
			reason := ""
			switch i := slices.IndexFunc(decided.Rejected, func(r policy.Rejection) bool { return r.Scope == s.Raw }); {
			case i >= 0:
				reason = decided.Rejected[i].Reason
			case len(of) == 0 || !slices.Contains(decided.Granted, s.Raw):
				reason = reasonOtherAudience
			}
			if reason != "" {
				rejected = append(rejected, policy.Rejection{Scope: s.Raw, Reason: reason})
				continue
			}
			granted = append(granted, s.Raw)
			wantAudience = append(wantAudience, of...)
		}
		slices.Sort(wantAudience)
		wantAudience = slices.Compact(wantAudience)
		request.decision = request.verdict(decided)
		if got := request.decision; !slices.Equal(got.Granted, granted) || !slices.Equal(got.Rejected, rejected) {
			t.Fatalf("seed %d: granted %q, rejected %v, want %q, %v", seed, got.Granted, got.Rejected, granted, rejected)
		}
		if got := request.tokenAudience(); !slices.Equal(got, wantAudience) {
			t.Fatalf("seed %d: audience %q, want %q", seed, got, wantAudience)
		}
		if got := request.grantedScope(); got != strings.Join(granted, " ") {
			t.Fatalf("seed %d: scope %q", seed, got)
		}
	}
}
