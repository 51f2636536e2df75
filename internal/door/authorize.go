package door

import (
	"net/http"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// authorize compares the scopes of a token with what its route requires, and asks the policy, if there is one. It
// returns the headers that the policy sets for the upstream. A request that matches no route is unmatched.
func (d *Door) authorize(r *http.Request, claims *token.Claims, m match, unmatched *Refusal) (map[string]string, *Refusal) {
	if unmatched != nil {
		return nil, unmatched
	}
	if refused := requireScopes(claims, m.required); refused != nil {
		return nil, refused
	}
	if d.Policy == nil {
		return nil, nil
	}
	return d.askPolicy(r, claims, m)
}

// match finds the route of a request. A door without requirements has no routes and needs no scope.
func (d *Door) match(r *http.Request) (match, *Refusal) {
	switch {
	case d.routes != nil:
		return d.routes.match(r)
	case d.Policy == nil:
		return match{}, nil
	}
	return match{method: httpguard.UpstreamMethod(r)}, nil
}

// requireScopes refuses a token that does not cover all the required scopes.
func requireScopes(claims *token.Claims, required []scope.Scope) *Refusal {
	for _, need := range required {
		if !slices.ContainsFunc(claims.Scopes, func(held scope.Scope) bool { return held.Covers(need) }) {
			return insufficientScope(required)
		}
	}
	return nil
}
