package caddymodule

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// doorExplanation is what an m2m_auth makes of a request.
type doorExplanation struct {
	// Door, Issuer, Audience and Requirements say which m2m_auth it is.
	Door         int      `json:"door"`
	Issuer       string   `json:"issuer"`
	Audience     []string `json:"audience"`
	Requirements int      `json:"requirements"`
	// TakesToken says that the door takes the token at all: there is one, and it is for its audience.
	TakesToken bool `json:"takes_token"`
	LetThrough bool `json:"let_through"`
	// Status, Reason and Description are those of the refusal, if it is not let through.
	Status      int    `json:"status,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Description string `json:"description,omitempty"`
	// Pattern is the requirement that the request matches.
	Pattern string `json:"pattern,omitempty"`
	// Required are the scopes that the request needs, with the scope of the token that covers each.
	Required []requiredScope `json:"required"`
	// Policy is what the door's policy says, where it has one.
	Policy *policy.RequestExplanation `json:"policy,omitempty"`
}

// requiredScope is covered by nothing when CoveredBy is "".
type requiredScope struct {
	Scope     string `json:"scope"`
	CoveredBy string `json:"covered_by,omitempty"`
}

// explain judges a request as ServeHTTP does, with a token whose claims are given; without claims there
// is no token. The first reason to refuse it counts, and the others are looked for all the same.
func (h *AuthHandler) explain(r *http.Request, claims *token.Claims, trace bool, now time.Time) (doorExplanation, error) {
	d := doorExplanation{Issuer: h.Issuer, Audience: h.Audience, Requirements: len(h.Require), Required: []requiredScope{}}
	h.identity.strip(r)
	if h.metadata.serves(r) {
		d.LetThrough, d.Description = true, "the door answers itself, with its metadata, and needs no token"
		return d, nil
	}
	if why := httpguard.AmbiguousPath(r.URL); why != "" {
		d.refuse(ambiguous(reasonAmbiguousPath, why))
		return d, nil
	}
	var held []scope.Scope
	switch {
	case claims == nil:
		d.refuse(&refusal{Challenge: &oauth.Challenge{
			Status: http.StatusUnauthorized, Reason: oauth.ReasonMissingToken, Description: "no token would be issued",
		}})
	case !slices.ContainsFunc(claims.Audience, func(aud string) bool { return slices.Contains(h.Audience, aud) }):
		d.refuse(invalidToken(&token.Error{Reason: token.WrongAudience}))
	default:
		d.TakesToken = true
	}
	if claims != nil {
		held = claims.Scopes
	}
	if h.routes != nil {
		required, refused := h.routes.match(r)
		d.refuse(refused)
		if refused == nil {
			d.Pattern = h.routes.patternOf(r)
		}
		d.require(required, held)
	}
	if d.TakesToken {
		said, err := h.explainPolicy(r.Context(), r, d.Pattern, claims, trace, now)
		if err != nil {
			return d, err
		}
		d.obey(said, held)
	}
	d.LetThrough = d.Status == 0
	return d, nil
}

// explainPolicy is what the door's policy says of a request, by policy.Engine.ExplainRequest; nil where
// the door has no policy.
func (h *AuthHandler) explainPolicy(_ context.Context, _ *http.Request, _ string, _ *token.Claims, _ bool, _ time.Time) (*policy.RequestExplanation, error) {
	return nil, nil
}

// refuse keeps the first refusal.
func (d *doorExplanation) refuse(refused *refusal) {
	if refused != nil && d.Status == 0 {
		d.Status, d.Reason, d.Description = refused.Status, refused.Reason, refused.Description
	}
}

// require finds what covers each scope.
func (d *doorExplanation) require(required, held []scope.Scope) {
	for _, need := range required {
		covered := requiredScope{Scope: need.Raw}
		if at := slices.IndexFunc(held, func(s scope.Scope) bool { return s.Covers(need) }); at >= 0 {
			covered.CoveredBy = held[at].Raw
		} else {
			d.refuse(forbidden(oauth.CodeInsufficientScope, "the token does not cover what this request needs", scopeList(required)))
		}
		d.Required = append(d.Required, covered)
	}
}

// obey takes over what a policy says.
func (d *doorExplanation) obey(said *policy.RequestExplanation, held []scope.Scope) {
	if said == nil {
		return
	}
	d.Policy = said
	if len(said.Decision.Denied) > 0 {
		d.refuse(forbidden("policy", "the policy refuses this request", ""))
	}
	d.require(said.Decision.Required, held)
}

// patternOf is the pattern that a request matches.
func (c *requirements) patternOf(r *http.Request) string {
	method, _ := httpguard.UpstreamMethod(r)
	seen := r.WithContext(r.Context())
	seen.Method, seen.Host = method, httpguard.FoldHost(r.Host)
	_, pattern := c.mux.Handler(seen)
	return pattern
}
