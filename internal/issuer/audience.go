package issuer

import (
	"context"
	"fmt"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
)

// reasonOtherAudience is why a scope is rejected whatever policy says: the token may not have its
// audience.
const reasonOtherAudience = "other_audience"

func (t *tokenRequest) readAudience(ctx context.Context) *oauth.Error {
	refused, err := t.chooseAudience(ctx)
	switch {
	case err != nil:
		return t.fault("reading the registry", err)
	case refused != nil:
		return t.named(refused)
	}
	return nil
}

// chooseAudience checks that each `resource` of the request is an audience that this issuer has (RFC
// 8707 §2) and the client may have, and finds what a scope on every resource gives.
func (t *tokenRequest) chooseAudience(ctx context.Context) (refused *oauth.Error, err error) {
	onEvery := slices.ContainsFunc(t.requested, func(s scope.Scope) bool { return s.Resource == scope.Any })
	if len(t.oauth.Resources) == 0 && !onEvery {
		return nil, nil
	}
	known, err := t.issuer.audiences(ctx)
	if err != nil {
		return nil, err
	}
	for _, target := range t.oauth.Resources {
		if !slices.Contains(known, target) {
			return oauth.InvalidTarget("a requested resource is not known here"), nil
		}
		if !t.mayHave(target) {
			return oauth.InvalidTarget("a requested resource is not for this client"), nil
		}
	}
	t.audience = slices.Compact(slices.Sorted(slices.Values(t.oauth.Resources)))
	t.every = slices.DeleteFunc(known, func(audience string) bool { return !t.mayHave(audience) })
	return nil, nil
}

// mayHave reports whether the token may have an audience: where the client has audiences it is one
// of them, and where `resource` chose some, one of those.
func (t *tokenRequest) mayHave(audience string) bool {
	return isWithin(t.client.Audiences, audience) && isWithin(t.audience, audience)
}

// isWithin reports whether bounds let an audience through; no bounds let all through. So the two
// lists are asked one after the other, and never made into one that may be empty.
func isWithin(bounds []string, audience string) bool {
	return len(bounds) == 0 || slices.Contains(bounds, audience)
}

// isForPolicy reports whether policy is asked about a scope. That of an unknown resource is for
// policy to reject, with its own reason.
func (t *tokenRequest) isForPolicy(s scope.Scope) bool {
	isUnknown := s.Resource != scope.Any && t.resources[s.Resource] == nil
	return isUnknown || len(t.audienceOf(s)) > 0
}

// holdAudience takes back what policy grants in spite of its audience, as it may do with scopes of
// an unknown resource.
func (t *tokenRequest) holdAudience() {
	granted := t.decision.Granted
	t.decision.Granted = nil
	for _, s := range t.requested {
		if slices.Contains(granted, s.Raw) && len(t.audienceOf(s)) > 0 {
			t.decision.Granted = append(t.decision.Granted, s.Raw)
		}
	}
}

// audienceOf is what a scope brings into aud, of what the token may have; none: the token may not
// have the scope.
func (t *tokenRequest) audienceOf(s scope.Scope) []string {
	if s.Resource == scope.Any {
		return t.every
	}
	audience := t.issuer.audienceOf(t.resources[s.Resource])
	if !t.mayHave(audience) {
		return nil
	}
	return []string{audience}
}

// tokenAudience is what the granted scopes need.
func (t *tokenRequest) tokenAudience() []string {
	var audience []string
	for _, s := range t.requested {
		if slices.Contains(t.decision.Granted, s.Raw) {
			audience = append(audience, t.audienceOf(s)...)
		}
	}
	slices.Sort(audience)
	return slices.Compact(audience)
}

// audiences are all the audiences that tokens of this issuer may have, sorted.
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

// audienceOf is the resource's own audience, else the issuer's; so it is for a resource that the
// registry does not have, which the rules that ship reject.
func (s *Server) audienceOf(r *registry.Resource) string {
	if r != nil && r.Audience != "" {
		return r.Audience
	}
	return s.Audience
}
