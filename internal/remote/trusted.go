package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Bounds say how old what a door knows of a remote issuer may be.
type Bounds struct {
	KeysMaxStale      time.Duration // for keys that are past their freshness
	RevocationsMaxAge time.Duration
	AllowStale        bool // accept tokens that are not known to be revoked also if the revocations are older
	RequireFeed       bool // the issuer must publish its revocations
}

// Trusted is a remote issuer within the bounds of a door. It has the methods of door.Issuer.
type Trusted struct {
	*Issuer
	Bounds Bounds
}

// Trust returns the issuer within the bounds of a door.
func (i *Issuer) Trust(bounds Bounds) *Trusted { return &Trusted{i, bounds} }

// KeySet returns the keys. Keys that cannot be refreshed are used until they are too old for the door.
func (t *Trusted) KeySet(ctx context.Context, kid string) (*token.KeySet, error) {
	if t.feed.known.KeyRevoked(kid) {
		return nil, &token.Error{Reason: token.Revoked, Detail: "the token's key was given up"}
	}
	keys, err := t.keys.Get(ctx, kid, t.Bounds.KeysMaxStale)
	if err != nil {
		return nil, fmt.Errorf("getting the issuer's keys: %w", err)
	}
	return keys, nil
}

// KeysUsable reports whether KeySet can return keys without a request.
func (t *Trusted) KeysUsable() bool { return t.keys.Usable(t.Bounds.KeysMaxStale) }

// Scopes returns none: the issuer's own metadata lists them.
func (t *Trusted) Scopes(context.Context, string) ([]string, error) { return nil, nil }

// ScopesRevision returns the same value each time.
func (t *Trusted) ScopesRevision() string { return "" }

// IsRevoked reports whether a token, or the key that signed it, is known to be revoked. It fails if the revocations are
// older than the bounds allow. It waits for the first answer of the feed only.
func (t *Trusted) IsRevoked(ctx context.Context, claims *token.Claims, kid string) (bool, error) {
	if err := t.feed.wait(ctx); err != nil {
		return false, err
	}
	if t.feed.names(claims, kid) {
		return true, nil
	}
	return false, t.CheckRevocations()
}

// RevokedSince reports whether a token that the door let through before was revoked since, or its key was. Revocations
// that were not known when the door let the token through, because the issuer published none, are not an error until the
// feed has been read.
func (t *Trusted) RevokedSince(ctx context.Context, claims *token.Claims, kid string) (bool, error) {
	if revoked, err := t.revokedSince(claims, kid); revoked || err != nil {
		return revoked, err
	}
	keys, err := t.KeySet(ctx, kid)
	return token.KeyWithdrawn(kid, keys, err)
}

func (t *Trusted) revokedSince(claims *token.Claims, kid string) (bool, error) {
	switch {
	case t.feed.ctx.Err() != nil:
		return false, errClosed
	case t.feed.names(claims, kid):
		return true, nil
	case t.feed.known.AsOf().IsZero():
		return false, nil
	}
	return false, t.CheckRevocations()
}

// FeedRequired reports whether the door accepts no tokens of an issuer without a feed.
func (t *Trusted) FeedRequired() bool { return t.Bounds.RequireFeed && !t.Bounds.AllowStale }

// CheckRevocations returns why the revocations are not known as well as the bounds require.
func (t *Trusted) CheckRevocations() error {
	asOf := t.feed.known.AsOf()
	switch age := time.Since(asOf); {
	case t.feed.published() == "" && !t.feed.started.Load(): // a feed that was published once is required
		if t.FeedRequired() {
			return errNotPublished
		}
	case asOf.IsZero(): // also with AllowStale: the door would accept all that was revoked before a restart
		return errors.New("the issuer's revocations were not read yet")
	case age > t.Bounds.RevocationsMaxAge && !t.Bounds.AllowStale:
		return fmt.Errorf("the issuer's revocations are known as of %s ago, more than %s", age.Round(time.Second), t.Bounds.RevocationsMaxAge)
	}
	return nil
}
