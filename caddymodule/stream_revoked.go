package caddymodule

import (
	"context"
	"errors"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

var errIssuerGone = errors.New("the issuer is not in the config any more")

// revokedSince reports whether a token that was let through, or the key that signed it, was revoked since. Unlike
// isRevoked it also asks the configs that came after the one that let the token through. It fails when a new request
// would be refused because revocations are not known.
func (t *TrustedIssuer) revokedSince(ctx context.Context, claims *token.Claims, kid string) (bool, error) {
	if t.local != nil {
		return t.local.revokedSince(ctx, claims, kid)
	}
	if revoked, err := t.remote.revocations.revokedSince(claims, kid, t.bound); revoked || err != nil {
		return revoked, err
	}
	return keyGone(ctx, t.keys, kid)
}

// keyGone reports whether the issuer no longer has a key. It fails when that cannot be known.
func keyGone(ctx context.Context, keys issuerKeys, kid string) (bool, error) {
	set, err := keys.keySet(ctx, kid)
	switch {
	case token.ErrorReason(err) != "":
		return true, nil
	case err != nil:
		return false, err
	}
	return !set.Has(kid), nil
}

// revokedSince asks each config of this process that has the issuer and has started. The issuer of a config that has
// ended learns of no new revocations, and its successor knows them all. It fails when there is no such config.
func (i *issuerServer) revokedSince(ctx context.Context, claims *token.Claims, kid string) (bool, error) {
	err := errIssuerGone
	for _, issuer := range issuersWith(i.URL) {
		set := issuer.revocations.Set()
		if set == nil || issuer.keys.loaded.Load() == nil {
			continue
		}
		if set.Revoked(claims.ID, claims.ClientID, claims.IssuedAt) {
			return true, nil
		}
		var gone bool
		if gone, err = keyGone(ctx, issuer, kid); gone {
			return true, nil
		}
	}
	return false, err
}

// revokedSince reports whether a token that was let through is known to be revoked now. What was let through before
// any revocations were known, because the issuer published none, is not held against a feed that has yet to be read.
func (r *remoteRevocations) revokedSince(claims *token.Claims, kid string, bound revocationBound) (bool, error) {
	if r.ctx.Err() != nil {
		return false, errNotFollowed
	}
	if r.names(claims, kid) {
		return true, nil
	}
	if _, known := r.age(); !known {
		return false, nil
	}
	return false, bound.within(r)
}
