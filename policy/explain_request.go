package policy

import (
	"context"

	"github.com/open-policy-agent/opa/v1/ast"
)

// RequestExplanation is a decision on a proxied request, with the rules that made it.
type RequestExplanation struct {
	// Decision is what DecideRequest says.
	Decision RequestDecision `json:"-"`
	// Denied are the rules that refuse the request; none lets it through.
	Denied []Cause `json:"denied"`
	// Observed are the rules on trial that would refuse it.
	Observed []Cause `json:"observed"`
	// Required are scopes that the token must cover, too.
	Required []ValueExplanation `json:"required"`
	// Headers are for the request to the upstream, sorted by name.
	Headers []ValueExplanation `json:"headers"`
	// Revision identifies the policy that decided.
	Revision string `json:"revision"`
	// Caching says whether such decisions are cached.
	Caching Caching `json:"caching"`
	// Trace is the whole evaluation, or that until an error, where it was asked for.
	Trace *Trace `json:"trace,omitempty"`
}

// ExplainRequest decides like DecideRequest, and names the rules that decided. Time and errors are as for ExplainToken.
func (e *Engine) ExplainRequest(ctx context.Context, in RequestInput, trace bool) (RequestExplanation, error) {
	s, err := e.inForce(ctx)
	if err != nil {
		return RequestExplanation{}, err
	}
	q, err := requestQuestion(s, in)
	if err != nil {
		return RequestExplanation{}, err
	}
	x, err := explain(ctx, e, q, trace)
	r := RequestExplanation{
		Denied: []Cause{}, Observed: []Cause{}, Required: []ValueExplanation{}, Headers: []ValueExplanation{},
		Revision: q.snapshot.revision, Caching: s.caching(requestQuery), Trace: x.trace,
	}
	if err != nil {
		return r, err
	}
	r.Decision = x.value
	r.Decision.Revision = r.Revision
	r.Denied, r.Observed = explainReasons(x, 0, "denied"), explainReasons(x, 1, "observed")
	r.Headers = explainValues(x.value.Headers, "headers", x.origins)
	for _, s := range x.value.Required {
		r.Required = append(r.Required, ValueExplanation{s.Raw, s.Raw, x.origins.causes("required", ast.String(s.Raw), "")})
	}
	return r, nil
}

// explainReasons returns the rules that gave each {"reason": …} of a set.
func explainReasons[T any](x *explained[T], i int, rule string) []Cause {
	causes := []Cause{}
	for _, member := range x.results.set(i, rule) {
		reason, _ := stringAt(member.Value.(ast.Object), keyReason) // results has checked it
		causes = append(causes, x.origins.causes(rule, member.Value, reason)...)
	}
	return causes
}
