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

// revoker is an issuer whose revocations are known here.
type revoker interface {
	isRevoked(ctx context.Context, claims *token.Claims) (bool, error)
}

// refuseRevoked refuses a genuine token that has been revoked. It asks for every request, also for a token
// that was verified before. Before the revocations have been read once, no token is let through.
func (h *AuthHandler) refuseRevoked(ctx context.Context, claims *token.Claims) *refusal {
	issuer, ok := h.issuer.(revoker)
	if !ok {
		return nil
	}
	switch revoked, err := issuer.isRevoked(ctx, claims); {
	case err != nil:
		return unavailable(reasonNoRevocations, "it cannot be known now what is revoked", err)
	case revoked:
		return invalidToken(&token.Error{Reason: reasonRevoked, Detail: "the token was revoked"})
	}
	return nil
}
