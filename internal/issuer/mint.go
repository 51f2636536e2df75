package issuer

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// maxAsked is the size of the scopes and audiences above which the client is the cause of a token that is too large.
// Below it the policy's claims are.
const maxAsked = token.MaxClaimsSize / 2

// mint signs the access token (RFC 9068 §2). It also returns the ID of the token, for the log.
func (t *tokenRequest) mint(ctx context.Context) (answer oauth.TokenResponse, jti string, _ *oauth.Error) {
	key, err := t.issuer.Keys.Signer(ctx)
	if err != nil {
		return answer, "", t.fault("signing", err)
	}
	jti = token.NewID()
	claims, err := t.claims(jti)
	if t.askedTooMuch(err) {
		return answer, "", t.invalidScope(tooMuchAsked)
	}
	if err != nil {
		return answer, "", t.fault("taking the policy's claims", err)
	}
	signed, err := key.Sign(claims)
	if err != nil {
		return answer, "", t.fault("signing", err)
	}
	t.issuer.Minted.Minted(signed, key, t.client.ID)
	return oauth.TokenResponse{
		AccessToken: signed, TokenType: t.confirmation.TokenType(), ExpiresIn: int64(t.ttl() / time.Second), Scope: t.grantedScope(), RejectedScope: t.rejectedScope(),
		IssuedTokenType: t.issuedTokenType(),
	}, jti, nil
}

// claims returns the encoded claims of the token. An error blames the policy's claims if there are any, because all
// other claims were checked before.
func (t *tokenRequest) claims(jti string) ([]byte, error) {
	claims, err := token.Mint{
		Issuer: t.issuer.URL, Subject: t.exchange.client(), ClientID: t.client.ID, ID: jti, Actor: t.exchange.claim(),
		Audience: t.tokenAudience(), Scope: t.grantedScope(), IssuedAt: t.start, TTL: t.ttl(), Extra: t.decision.Claims,
		Confirmation: t.confirmation,
	}.Claims()
	if err != nil && len(t.decision.Claims) > 0 {
		return nil, t.decision.UnfitClaims(err)
	}
	return claims, err
}

const tooMuchAsked = "what was asked for does not fit into one token; ask for fewer scopes, or choose a resource"

// askedTooMuch reports whether the claims are too large for what the client has asked for.
func (t *tokenRequest) askedTooMuch(err error) bool {
	return errors.Is(err, token.ErrTooLarge) && len(t.grantedScope())+len(strings.Join(t.tokenAudience(), "")) > maxAsked
}

// ttl returns the shortest lifetime of those that the issuer, the client and the policy set. A token that was exchanged ends with its
// subject at the latest.
func (t *tokenRequest) ttl() time.Duration {
	ttl := t.issuer.TokenTTL
	for _, shorter := range []time.Duration{t.client.TokenTTL, t.decision.TTL} {
		if shorter > 0 {
			ttl = min(ttl, shorter)
		}
	}
	return t.exchange.within(ttl, t.start).Truncate(time.Second)
}
