package caddymodule

import (
	"context"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Reasons of refusals of tokens that are genuine.
const (
	reasonRevoked       = "revoked"
	reasonNoRevocations = "no_revocations"
)

// refuseRevoked refuses a genuine token that has been revoked. It asks for every request, also for a token
// that was verified before. Before the revocations have been read once, no token is let through, nor when those of an
// issuer elsewhere are known as of too long ago.
func (h *AuthHandler) refuseRevoked(ctx context.Context, claims *token.Claims, kid string) *refusal {
	refused := revocationRefusal(h.trust(claims.Issuer).isRevoked(ctx, claims, kid))
	if refused != nil {
		refused.issuer = claims.Issuer
	}
	return refused
}

// revocationRefusal is the answer to a token that is revoked, or of which that cannot be told; nil if it holds.
func revocationRefusal(revoked bool, err error) *refusal {
	switch {
	case err != nil:
		return unavailable(reasonNoRevocations, "it cannot be known now what is revoked", err)
	case revoked:
		return invalidToken(&token.Error{Reason: reasonRevoked, Detail: "the token was revoked"})
	}
	return nil
}
