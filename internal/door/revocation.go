package door

import (
	"context"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// refuseRevoked returns the refusal of a genuine token that was revoked, nil if it is valid. It is asked for each
// request, also with a remembered token. All tokens are refused until the revocations have been read once, and those of
// a remote issuer while its revocations are too old.
func (d *Door) refuseRevoked(ctx context.Context, t token.Verified) *Refusal {
	revoked, err := d.trusted(t.Issuer).IsRevoked(ctx, t.Claims, t.KeyID())
	if revoked {
		d.verifier.Forget(t)
	}
	refused := revocationRefusal(revoked, err)
	if refused != nil {
		refused.issuer = t.Issuer
	}
	return refused
}

// revocationRefusal returns the refusal of a token that was revoked, or of which that is not known, nil if it is valid.
func revocationRefusal(revoked bool, err error) *Refusal {
	switch {
	case err != nil:
		return unavailable(reasonNoRevocations, "the revocations are not known now", err)
	case revoked:
		return invalidToken(&token.Error{Reason: token.Revoked, Detail: "the token was revoked"})
	}
	return nil
}
