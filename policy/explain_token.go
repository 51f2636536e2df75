package policy

import (
	"context"
	"slices"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/open-policy-agent/opa/v1/ast"
)

// TokenExplanation is a decision on a token request, with the rules that made it.
type TokenExplanation struct {
	// Decision is what DecideToken says.
	Decision TokenDecision `json:"-"`
	// Scopes are the requested scopes, in request order.
	Scopes []ScopeExplanation `json:"scopes"`
	// Claims are the extra claims, sorted by name.
	Claims []ValueExplanation `json:"claims"`
	// TTL are the rules that gave the smallest lifetime.
	TTL []Cause `json:"ttl"`
	// Trace is the whole evaluation, or that until an error, where it was asked for.
	Trace *Trace `json:"trace,omitempty"`
}

// ScopeExplanation is why a scope is granted or rejected.
type ScopeExplanation struct {
	// Scope is the scope as it was requested.
	Scope string `json:"scope"`
	// Granted is the verdict.
	Granted bool `json:"granted"`
	// Reason is why it is rejected: the policy's reasons, joined by "; ".
	Reason string `json:"reason,omitempty"`
	// Observed are the reasons of rules on trial that would reject it.
	Observed string `json:"observed,omitempty"`
	// Causes are all rules that grant, reject or observe it, whichever wins.
	Causes []Cause `json:"causes"`
	// Notes say in words what the client's grants and the registry have to do with it.
	Notes []string `json:"notes"`
}

// ExplainToken decides like DecideToken, and names the rules that decided. It may take longer: ten times
// Config.Timeout, up to 10 seconds. Its errors are those of DecideToken; that of a timeout names the place that was
// evaluated last. After an error only the trace is returned.
func (e *Engine) ExplainToken(ctx context.Context, in TokenInput, trace bool) (TokenExplanation, error) {
	s, err := e.inForce(ctx)
	if err != nil {
		return TokenExplanation{}, err
	}
	q, err := tokenQuestion(s, in)
	if err != nil {
		return TokenExplanation{}, err
	}
	x, err := explain(ctx, e, q, trace)
	if err != nil {
		return TokenExplanation{Trace: x.trace}, err
	}
	t := TokenExplanation{
		Decision: x.value.decide(in.Scopes, q.snapshot), Scopes: []ScopeExplanation{}, TTL: []Cause{},
		Claims: explainValues(x.value.claims, "claims", x.origins), Trace: x.trace,
	}
	for _, scope := range in.Scopes {
		t.Scopes = append(t.Scopes, explainScope(x, t.Decision, scope, in))
	}
	for _, seconds := range x.results.set(4, "ttl") {
		if n, _ := seconds.Value.(ast.Number).Int64(); n == int64(t.Decision.TTL.Seconds()) {
			t.TTL = x.origins.causes("ttl", seconds.Value, "")
		}
	}
	return t, nil
}

// ExplainDefaultScopes is like DefaultScopes, with the rules that gave each scope.
func (e *Engine) ExplainDefaultScopes(ctx context.Context, in TokenInput) ([]ValueExplanation, error) {
	s, err := e.inForce(ctx)
	if err != nil {
		return nil, err
	}
	q, err := defaultScopesQuestion(s, in)
	if err != nil {
		return nil, err
	}
	x, err := explain(ctx, e, q, false)
	if err != nil {
		return nil, err
	}
	var scopes []ValueExplanation
	for _, raw := range x.value {
		scopes = append(scopes, ValueExplanation{raw, raw, x.origins.causes("default_scopes", ast.String(raw), "")})
	}
	return scopes, nil
}

func explainScope(x *explained[tokenAnswer], d TokenDecision, s scope.Scope, in TokenInput) ScopeExplanation {
	is := func(r Rejection) bool { return r.Scope == s.Raw }
	e := ScopeExplanation{Scope: s.Raw, Granted: slices.Contains(d.Granted, s.Raw), Causes: []Cause{}, Notes: in.notes(s)}
	if i := slices.IndexFunc(d.Rejected, is); i >= 0 {
		e.Reason = d.Rejected[i].Reason
	}
	if i := slices.IndexFunc(d.Observed, is); i >= 0 {
		e.Observed = d.Observed[i].Reason
	}
	e.Causes = append(e.Causes, x.reasonedCauses(1, "rejected", s)...)
	e.Causes = append(e.Causes, x.reasonedCauses(2, "observed", s)...)
	e.Causes = append(e.Causes, x.reasonedCauses(5, "beyond_subject", s)...)
	if x.value.granted[s.Raw] {
		e.Causes = append(e.Causes, x.origins.causes("granted", ast.String(s.Raw), "")...)
	}
	return e
}

// reasonedCauses returns the rules that give a reason for a scope in the i-th rule's value.
func (x *explained[T]) reasonedCauses(i int, rule string, s scope.Scope) (causes []Cause) {
	for _, member := range x.results.set(i, rule) {
		object := member.Value.(ast.Object) // results has checked it
		if raw, _ := stringAt(object, keyScope); raw == s.Raw {
			reason, _ := stringAt(object, keyReason)
			causes = append(causes, x.origins.causes(rule, object, reason)...)
		}
	}
	return causes
}

// explainValues returns the members of an object of the contract, such as claims.
func explainValues[V any](values map[string]V, rule string, origins *originTracer) []ValueExplanation {
	explained := make([]ValueExplanation, 0, len(values))
	for name, value := range values {
		explained = append(explained, ValueExplanation{name, value, origins.causes(rule, ast.String(name), "")})
	}
	slices.SortFunc(explained, func(a, b ValueExplanation) int { return strings.Compare(a.Name, b.Name) })
	return explained
}
