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
// that was verified before. Before the revocations have been read once, no token is let through.
func (h *AuthHandler) refuseRevoked(ctx context.Context, claims *token.Claims) *refusal {
	local := h.trust(claims.Issuer).local
	if local == nil {
		return nil
	}
	var refused *refusal
	switch revoked, err := local.isRevoked(ctx, claims); {
	case err != nil:
		refused = unavailable(reasonNoRevocations, "it cannot be known now what is revoked", err)
	case revoked:
		refused = invalidToken(&token.Error{Reason: reasonRevoked, Detail: "the token was revoked"})
	default:
		return nil
	}
	refused.issuer = claims.Issuer
	return refused
}
