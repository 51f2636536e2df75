package caddymodule

import (
	"context"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// trustedRemote is a remote issuer within the bounds that a door sets.
type trustedRemote struct {
	*remoteIssuer
	maxStale time.Duration
	bound    revocationBound
}

var _ door.Issuer = (*trustedRemote)(nil)

// KeySet implements door.Issuer. Keys that cannot be refreshed are used until they are too old for the door.
func (t *trustedRemote) KeySet(ctx context.Context, kid string) (*token.KeySet, error) {
	if t.revocations.known.KeyRevoked(kid) {
		return nil, &token.Error{Reason: token.Revoked, Detail: "the token's key was given up"}
	}
	return keysOrFault(t.keys.GetStale(ctx, kid, t.maxStale))
}

// Scopes returns none: the issuer's own metadata lists them.
func (t *trustedRemote) Scopes(context.Context, string) ([]string, error) { return nil, nil }

// ScopesRevision implements door.Issuer.
func (t *trustedRemote) ScopesRevision() string { return "" }

// IsRevoked implements door.Issuer.
func (t *trustedRemote) IsRevoked(ctx context.Context, claims *token.Claims, kid string) (bool, error) {
	return t.revocations.revoked(ctx, claims, kid, t.bound)
}

// RevokedSince implements door.Issuer.
func (t *trustedRemote) RevokedSince(ctx context.Context, claims *token.Claims, kid string) (bool, error) {
	if revoked, err := t.revocations.revokedSince(claims, kid, t.bound); revoked || err != nil {
		return revoked, err
	}
	keys, err := t.KeySet(ctx, kid)
	return token.KeyWithdrawn(kid, keys, err)
}
