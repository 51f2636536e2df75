package issuer

import (
	"context"
	"fmt"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/uri"
)

// chooseAudience checks that each `resource` of the request is an audience of this issuer (RFC 8707 §2) that the client
// may have, and finds the audiences of a scope on every resource. The token has an audience as the config and the registry
// write it, whatever equivalent URI the client wrote.
func (t *tokenRequest) chooseAudience(ctx context.Context) (refused *oauth.Error, err error) {
	onEvery := slices.ContainsFunc(t.requested, func(s scope.Scope) bool { return s.Resource == scope.Any })
	if len(t.oauth.Resources) == 0 && !onEvery {
		return nil, nil
	}
	known, err := t.issuer.audiences(ctx)
	if err != nil {
		return nil, err
	}
	var chosen []string
	for _, target := range t.oauth.Resources {
		named := uri.Among(known, target)
		if len(named) == 0 {
			return oauth.InvalidTarget("a requested resource is not known here"), nil
		}
		if !t.mayHave(named[0]) { // all of them are equal
			return oauth.InvalidTarget("a requested resource is not for this client"), nil
		}
		chosen = append(chosen, named...)
	}
	t.audience = slices.Compact(slices.Sorted(slices.Values(chosen)))
	t.every = slices.DeleteFunc(known, func(audience string) bool { return !t.mayHave(audience) })
	return nil, nil
}

// mayHave reports whether the token may have an audience. If the client has audiences, it must be one of them. If
// `resource` chose some, it must be one of those.
func (t *tokenRequest) mayHave(audience string) bool {
	return isWithin(t.client.Audiences, audience) && isWithin(t.audience, audience)
}

// isWithin reports whether bounds allow an audience. Empty bounds allow all, so mayHave must not intersect two bounds:
// the result may be empty.
func isWithin(bounds []string, audience string) bool {
	return len(bounds) == 0 || uri.Contains(bounds, audience)
}

// isForPolicy reports whether the policy is asked about a scope. It rejects one of an unknown resource, with its own
// reason.
func (t *tokenRequest) isForPolicy(s scope.Scope) bool {
	isUnknown := s.Resource != scope.Any && t.resources[s.Resource] == nil
	return isUnknown || t.hasAudience(s)
}

// hasAudience reports whether a scope adds audiences to the token, of those that the token may have. If not, the token may
// not have the scope.
func (t *tokenRequest) hasAudience(s scope.Scope) bool {
	if s.Resource == scope.Any {
		return len(t.every) > 0
	}
	return t.mayHave(t.resourceAudience(s.Resource))
}

// resourceAudience returns the audience of scopes on a resource. One of a resource that the registry does not have has the
// issuer's, until the shipped rules reject it.
func (t *tokenRequest) resourceAudience(code string) string {
	if r := t.resources[code]; r != nil {
		return r.Audience
	}
	return t.issuer.Audience
}

// tokenAudience returns the audiences of the granted scopes, sorted. Those are in request order, as verdict returns them.
func (t *tokenRequest) tokenAudience() []string {
	audience := t.room[:0]
	granted := t.decision.Granted
	for _, s := range t.requested {
		if len(granted) == 0 || granted[0] != s.Raw {
			continue
		}
		granted = granted[1:]
		if s.Resource == scope.Any {
			audience = append(audience, t.everyOfSubject(s)...)
		} else if one := t.resourceAudience(s.Resource); !slices.Contains(audience, one) {
			audience = append(audience, one)
		}
	}
	slices.Sort(audience)
	return slices.Compact(audience)
}

// audiences returns all audiences that tokens of this issuer may have, sorted.
func (s *Server) audiences(ctx context.Context) ([]string, error) {
	resources, err := s.Registry.Resources(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing resources: %w", err)
	}
	all := []string{s.Audience}
	for _, r := range resources {
		all = append(all, s.audienceOf(r))
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// audienceOf returns the resource's own audience, or else the issuer's.
func (s *Server) audienceOf(r *registry.Resource) string {
	if r.Audience != "" {
		return r.Audience
	}
	return s.Audience
}
