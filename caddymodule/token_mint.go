package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/scope"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// issuedToken is the answer, with the ID of its token for the log.
type issuedToken struct {
	oauth.TokenResponse
	TokenID string
}

// maxAsked is how many bytes of scopes and audiences may well be in a token. When it has more and
// is too large, the client has asked for too much; else it is the policy's claims.
const maxAsked = token.MaxClaimsSize / 2

// mint signs the access token (RFC 9068 §2).
func (t *tokenRequest) mint(ctx context.Context) (*issuedToken, *oauth.Error) {
	keys, err := t.issuer.keys.current(ctx)
	if err != nil {
		return nil, t.fault("signing", err)
	}
	audience, err := t.tokenAudience(ctx)
	if err != nil {
		return nil, t.fault("reading the registry", err)
	}
	ttl, jti, granted := t.ttl(), token.NewID(), strings.Join(t.decision.Granted, " ")
	claims, err := token.Mint{
		Issuer: t.issuer.URL, ClientID: t.client.ID, ID: jti,
		Audience: audience, Scope: granted, IssuedAt: t.start, TTL: ttl, Extra: t.decision.Claims,
	}.Claims()
	if errors.Is(err, token.ErrTooLarge) && len(granted)+len(strings.Join(audience, "")) > maxAsked {
		return nil, t.invalidScope("what was asked for does not fit into one token; ask for fewer scopes, or choose a resource")
	}
	if err != nil {
		return nil, t.fault("taking the policy's claims", err)
	}
	signed, err := keys.signing.Sign(claims)
	if err != nil {
		return nil, t.fault("signing", err)
	}
	return &issuedToken{TokenID: jti, TokenResponse: oauth.TokenResponse{
		AccessToken: signed, ExpiresIn: int64(ttl / time.Second), Scope: granted, RejectedScope: t.rejectedScope(),
	}}, nil
}

// ttl is the smallest of what the issuer, the client and the policy say.
func (t *tokenRequest) ttl() time.Duration {
	ttl := time.Duration(t.issuer.TokenTTL)
	for _, shorter := range []time.Duration{t.client.TokenTTL, t.decision.TTL} {
		if shorter > 0 {
			ttl = min(ttl, shorter)
		}
	}
	return ttl.Truncate(time.Second)
}

// audiences are all the audiences that tokens of this issuer may have.
func (i *Issuer) audiences(ctx context.Context) ([]string, error) {
	resources, err := i.registry.Resources(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing resources: %w", err)
	}
	all := []string{i.Audience}
	for _, r := range resources {
		all = append(all, i.audienceOf(r))
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// audienceOf is the resource's own audience, else the issuer's; so it is for a resource that the
// registry does not have, which the rules that ship reject.
func (i *Issuer) audienceOf(r *registry.Resource) string {
	if r != nil && r.Audience != "" {
		return r.Audience
	}
	return i.Audience
}

// inAudience reports whether a scope can be had in a token for the chosen audience.
func (t *tokenRequest) inAudience(s scope.Scope) bool {
	resource := t.resources[s.Resource]
	if len(t.audience) == 0 || resource == nil {
		return true // the scope of an unknown resource is for policy to reject
	}
	return slices.Contains(t.audience, t.issuer.audienceOf(resource))
}

// tokenAudience is what the granted scopes' resources need, within what `resource` chose.
func (t *tokenRequest) tokenAudience(ctx context.Context) ([]string, error) {
	var audience []string
	for _, s := range t.requested {
		if !slices.Contains(t.decision.Granted, s.Raw) {
			continue
		}
		if s.Resource != scope.Any {
			audience = append(audience, t.issuer.audienceOf(t.resources[s.Resource]))
			continue
		}
		if len(t.audience) > 0 {
			return t.audience, nil
		}
		return t.issuer.audiences(ctx)
	}
	slices.Sort(audience)
	return slices.Compact(audience), nil
}
