package caddymodule

import (
	"net/http"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// doorJudgement is a DoorExplanation in the making.
type doorJudgement api.DoorExplanation

// explain judges a request as ServeHTTP does, with a token of an issuer whose claims are given; without
// claims there is no token. The first reason to refuse it counts, and the others are looked for all the same.
func (h *AuthHandler) explain(r *http.Request, of *TrustedIssuer, claims *token.Claims, trace bool, now time.Time) api.DoorExplanation {
	d := doorJudgement{Issuer: of.URL, Audience: of.Audience, Requirements: len(h.Require), Required: []api.RequiredScope{}}
	h.strip(r)
	if h.metadata.serves(r) {
		d.LetThrough, d.Description = true, "the door answers itself, with its metadata, and needs no token"
		return api.DoorExplanation(d)
	}
	if refused := h.explainedAmbiguity(r); refused != nil {
		d.refuse(refused)
		return api.DoorExplanation(d)
	}
	var held []scope.Scope
	switch bearer := explainedBearer(r); {
	case claims == nil:
		d.refuse(&refusal{Challenge: &oauth.Challenge{
			Status: http.StatusUnauthorized, Reason: oauth.ReasonMissingToken, Description: "no token would be issued",
		}})
	case bearer != nil:
		d.refuse(bearer)
	case !slices.ContainsFunc(claims.Audience, func(aud string) bool { return slices.Contains(of.Audience, aud) }):
		d.refuse(invalidToken(&token.Error{Reason: token.WrongAudience}))
	case h.identity.check(claims) != nil:
		d.refuse(h.identity.check(claims))
	default:
		d.TakesToken = true
	}
	if claims != nil {
		held = claims.Scopes
	}
	found, refused := h.match(r)
	d.refuse(refused)
	if refused == nil {
		if found.route != nil {
			d.Pattern = found.route.pattern
		}
		d.require(found.needed, held)
		if d.TakesToken && h.Policy != nil {
			d.ask(h.Policy, r, claims, found, trace, now)
		}
	}
	d.LetThrough = d.Status == 0
	return api.DoorExplanation(d)
}

// explainedAmbiguity is ambiguity for a request that may have no host.
func (h *AuthHandler) explainedAmbiguity(r *http.Request) *refusal {
	if r.Host == "" {
		return h.ambiguityOfTarget(r)
	}
	return h.ambiguity(r)
}

// explainedBearer refuses what no token can be sent with, such as another one in the URL.
func explainedBearer(r *http.Request) *refusal {
	sent := r.Clone(r.Context())
	sent.Header.Set("Authorization", "Bearer x")
	if _, challenge := oauth.BearerToken(sent); challenge != nil {
		return &refusal{Challenge: challenge}
	}
	return nil
}

// ask has the door's policy say what it makes of the request, and takes that over, unless the policy only
// observes.
func (d *doorJudgement) ask(p *RequestPolicy, r *http.Request, claims *token.Claims, found matched, trace bool, now time.Time) {
	in := p.input(r, claims, found)
	in.Time = now
	said, err := p.engine.ExplainRequest(r.Context(), in, trace)
	if err == nil || said.Trace != nil {
		d.Policy = &said
	}
	if err == nil {
		err = p.checkSet(said.Decision.Headers)
	}
	if d.Observes = p.Observe; d.Observes {
		return
	}
	if err != nil {
		d.refuse(noDecision(err))
		d.Description = err.Error()
		return
	}
	d.obey(said, claims.Scopes)
}

// refuse keeps the first refusal.
func (d *doorJudgement) refuse(refused *refusal) {
	if refused != nil && d.Status == 0 {
		d.Status, d.Reason, d.Description = refused.Status, refused.Reason, refused.Description
	}
}

// require finds what covers each scope.
func (d *doorJudgement) require(required, held []scope.Scope) {
	for _, need := range required {
		covered := api.RequiredScope{Scope: need.Raw}
		if at := slices.IndexFunc(held, func(s scope.Scope) bool { return s.Covers(need) }); at >= 0 {
			covered.CoveredBy = held[at].Raw
		} else {
			d.refuse(forbidden(oauth.CodeInsufficientScope, "the token does not cover what this request needs", scopeList(required)))
		}
		d.Required = append(d.Required, covered)
	}
}

// obey takes over what a policy says.
func (d *doorJudgement) obey(said policy.RequestExplanation, held []scope.Scope) {
	if len(said.Decision.Denied) > 0 {
		d.refuse(denied())
	}
	d.require(said.Decision.Required, held)
}
