package door

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// Question is a request that doors explain.
type Question struct {
	Request *api.ProxiedRequest
	Issuer  string        // of the token
	Claims  *token.Claims // of the token, nil if there is none
	Bound   []string      // how the token is bound: boundDPoP, boundMTLS
	Trace   bool
	Time    time.Time
}

// Explain has each of the doors that take tokens of the issuer judge the request, or the one that the request chooses.
// Doors are numbered by their settings, so that a reload of the same config does not change their numbers.
func Explain(ctx context.Context, all []*Door, q Question) ([]api.DoorExplanation, error) {
	var doors []*Door
	for _, d := range all {
		if d.Trusts(q.Issuer) {
			doors = append(doors, d)
		}
	}
	slices.SortStableFunc(doors, func(a, b *Door) int {
		return cmp.Or(slices.Compare(a.Audience, b.Audience), slices.Compare(a.patterns(), b.patterns()))
	})
	chosen := q.Request.Door
	switch {
	case len(doors) == 0:
		return nil, api.Invalid("no m2m_auth of this config takes the tokens of %s", q.Issuer)
	case chosen != nil && (*chosen < 0 || *chosen >= len(doors)):
		return nil, api.Invalid("request.door is a number from 0 to %d", len(doors)-1)
	}
	explanations := []api.DoorExplanation{}
	for number, d := range doors {
		if chosen != nil && *chosen != number {
			continue
		}
		r, err := requestOf(ctx, q.Request)
		if err != nil {
			return nil, err
		}
		explanation := d.explain(r, q)
		explanation.Door = number
		explanations = append(explanations, api.DoorExplanation(explanation))
	}
	return explanations, nil
}

// patterns returns the patterns of the door's routes.
func (d *Door) patterns() []string {
	patterns := []string{}
	for _, r := range d.Require {
		patterns = append(patterns, r.Pattern())
	}
	for _, p := range d.Public {
		patterns = append(patterns, p.requirement().Pattern())
	}
	return patterns
}

// explanation is how a door judges a request.
type explanation api.DoorExplanation

// explain judges a request as ServeHTTP does. The first reason to refuse it counts. The others are looked for as well.
func (d *Door) explain(r *http.Request, q Question) explanation {
	of := d.trusted(q.Issuer).Expect
	e := explanation{Issuer: of.Issuer, Audience: of.Audiences, Requirements: len(d.Require), Required: []api.RequiredScope{}}
	if d.ForwardAuth != "" {
		if refused := badForwardAuth(d.leftToUpstream(r.Header)); refused != nil {
			e.refuse(refused)
			return e
		}
	}
	d.strip(r)
	if d.metadata.serves(r) {
		e.LetThrough, e.Description = true, "the door answers itself, with its metadata, and needs no token"
		return e
	}
	if refused := d.explainAmbiguity(r); refused != nil {
		e.refuse(refused)
		return e
	}
	m, unmatched := d.match(r)
	if m.route != nil {
		e.Pattern = m.route.pattern
	}
	if m.needsNoToken() {
		if refused := d.refusePublic(r); refused != nil {
			e.refuse(refused)
			return e
		}
		e.LetThrough, e.Description = true, "the route is public: the door needs no token, and removes one that is sent"
		return e
	}
	refused := d.explainToken(r, q.Claims, of)
	if refused == nil && !d.Binding.suffices(q.Bound) {
		refused = d.Binding.notBound()
		refused.Description += "; the client can ask for its token with a DPoP proof, or have dpop_bound_access_tokens or tls_client_certificate_bound_access_tokens"
	}
	e.refuse(refused)
	if refused == nil {
		e.Proofs = q.Bound
	}
	e.TakesToken = refused == nil
	e.refuse(unmatched)
	if unmatched == nil {
		var held []scope.Scope
		if q.Claims != nil {
			held = q.Claims.Scopes
		}
		e.require(m.required, held)
		if e.TakesToken && d.Policy != nil {
			d.explainPolicy(&e, r, m, q)
		}
	}
	e.LetThrough = e.Status == 0
	return e
}

// explainAmbiguity is ambiguity for a request that may have no host.
func (d *Door) explainAmbiguity(r *http.Request) *Refusal {
	if r.Host == "" {
		return d.ambiguityOfTarget(r)
	}
	return d.ambiguity(r)
}

// explainToken returns the refusal of a token with these claims, nil if the door takes it.
func (d *Door) explainToken(r *http.Request, claims *token.Claims, expect token.Expect) *Refusal {
	if claims == nil {
		return &Refusal{Challenge: &oauth.Challenge{
			Status: http.StatusUnauthorized, Reason: oauth.ReasonMissingToken, Description: "no token would be issued",
		}}
	}
	sent := r.Clone(r.Context()) // the request may have another token in its URL
	sent.Header.Set("Authorization", "Bearer x")
	if _, _, challenge := oauth.AccessToken(sent); challenge != nil {
		return &Refusal{Challenge: challenge}
	}
	if !expect.TakesAudience(claims.Audience) {
		return invalidToken(token.NotFor(expect.Audiences))
	}
	return d.identity.check(claims)
}

// explainPolicy adds the decision of the door's policy. It counts unless the policy only observes.
func (d *Door) explainPolicy(e *explanation, r *http.Request, m match, q Question) {
	in := d.policyInput(r, q.Claims, m)
	in.Time = q.Time
	explained, err := d.Policy.Engine.ExplainRequest(r.Context(), in, q.Trace)
	if err == nil || explained.Trace != nil {
		e.Policy = &explained
	}
	if err == nil {
		err = d.Policy.checkHeaders(explained.Decision.Headers)
	}
	e.Observes = d.Policy.Observe
	switch {
	case e.Observes:
	case err != nil:
		e.refuse(noDecision(err))
		e.Description = err.Error()
	default:
		e.obey(explained.Decision, q.Claims.Scopes)
	}
}

// obey takes over the decision of a policy.
func (e *explanation) obey(decided policy.RequestDecision, held []scope.Scope) {
	if len(decided.Denied) > 0 {
		e.refuse(denied())
	}
	e.require(decided.Required, held)
}

// refuse records the first refusal.
func (e *explanation) refuse(refused *Refusal) {
	if refused != nil && e.Status == 0 {
		e.Status, e.Reason, e.Description = refused.Status, refused.Reason, refused.Description
	}
}

// require adds the required scopes, with the scope that covers each.
func (e *explanation) require(required, held []scope.Scope) {
	for _, need := range required {
		covered := api.RequiredScope{Scope: need.Raw}
		if at := slices.IndexFunc(held, func(s scope.Scope) bool { return s.Covers(need) }); at >= 0 {
			covered.CoveredBy = held[at].Raw
		} else {
			e.refuse(insufficientScope(required))
		}
		e.Required = append(e.Required, covered)
	}
}
