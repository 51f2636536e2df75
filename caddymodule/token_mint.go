package caddymodule

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
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
	key, err := t.issuer.keys.Signer(ctx)
	if err != nil {
		return nil, t.fault("signing", err)
	}
	jti := token.NewID()
	claims, err := t.claims(jti)
	if t.askedTooMuch(err) {
		return nil, t.invalidScope(tooMuchAsked)
	}
	if err != nil {
		return nil, t.fault("taking the policy's claims", err)
	}
	signed, err := key.Sign(claims)
	if err != nil {
		return nil, t.fault("signing", err)
	}
	return &issuedToken{TokenID: jti, TokenResponse: oauth.TokenResponse{
		AccessToken: signed, ExpiresIn: int64(t.ttl() / time.Second), Scope: t.grantedScope(), RejectedScope: t.rejectedScope(),
	}}, nil
}

// claims is what the token says. Where the policy has claims, they are what cannot be minted: the others
// are checked long before.
func (t *tokenRequest) claims(jti string) ([]byte, error) {
	claims, err := token.Mint{
		Issuer: t.issuer.URL, ClientID: t.client.ID, ID: jti,
		Audience: t.tokenAudience(), Scope: t.grantedScope(), IssuedAt: t.start, TTL: t.ttl(), Extra: t.decision.Claims,
	}.Claims()
	if err != nil && len(t.decision.Claims) > 0 {
		return nil, t.decision.UnfitClaims(err)
	}
	return claims, err
}

func (t *tokenRequest) grantedScope() string { return strings.Join(t.decision.Granted, " ") }

const tooMuchAsked = "what was asked for does not fit into one token; ask for fewer scopes, or choose a resource"

// askedTooMuch reports whether the claims are too large for what the client has asked for.
func (t *tokenRequest) askedTooMuch(err error) bool {
	return errors.Is(err, token.ErrTooLarge) && len(t.grantedScope())+len(strings.Join(t.tokenAudience(), "")) > maxAsked
}

// ttl is the smallest of what the issuer, the client and the policy say.
func (t *tokenRequest) ttl() time.Duration {
	ttl := t.issuer.TokenTTL
	for _, shorter := range []time.Duration{t.client.TokenTTL, t.decision.TTL} {
		if shorter > 0 {
			ttl = min(ttl, shorter)
		}
	}
	return ttl.Truncate(time.Second)
}
