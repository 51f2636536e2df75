package caddymodule

import (
	"context"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// reasonNoRevocations refuses a genuine token.
const reasonNoRevocations = "no_revocations"

// refuseRevoked returns the refusal of a genuine token that is revoked, nil if the token holds. It checks each request,
// also one with a remembered token. It refuses all tokens until the revocations have been read once, and those of a
// remote issuer whose revocations are too old.
func (h *AuthHandler) refuseRevoked(ctx context.Context, t token.Verified) *refusal {
	revoked, err := h.trust(t.Issuer).keys.IsRevoked(ctx, t.Claims, t.KeyID())
	if revoked {
		h.verifier.Forget(t)
	}
	refused := revocationRefusal(revoked, err)
	if refused != nil {
		refused.issuer = t.Issuer
	}
	return refused
}

// revocationRefusal returns the refusal of a token that is revoked or of which the door cannot tell, nil if it holds.
func revocationRefusal(revoked bool, err error) *refusal {
	switch {
	case err != nil:
		return unavailable(reasonNoRevocations, "it cannot be known now what is revoked", err)
	case revoked:
		return invalidToken(&token.Error{Reason: token.Revoked, Detail: "the token was revoked"})
	}
	return nil
}
