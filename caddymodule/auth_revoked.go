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
func (h *AuthHandler) refuseRevoked(ctx context.Context, t token.Verified) *refusal {
	revoked, err := h.trust(t.Issuer).isRevoked(ctx, t.Claims, t.KeyID())
	if revoked {
		h.verifier.Forget(t)
	}
	refused := revocationRefusal(revoked, err)
	if refused != nil {
		refused.issuer = t.Issuer
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
