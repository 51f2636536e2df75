package door

import (
	"context"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Issuer is what a door asks of an issuer, in this process or elsewhere.
type Issuer interface {
	// KeySet returns the issuer's public keys, with that of kid if there is one. It fails if the keys are not
	// available.
	KeySet(ctx context.Context, kid string) (*token.KeySet, error)
	// Scopes lists the scopes of an audience, if the issuer publishes them.
	Scopes(ctx context.Context, audience string) ([]string, error)
	// ScopesRevision changes when the answer of Scopes may have changed.
	ScopesRevision() string
	// IsRevoked reports whether a token, signed with the key kid, was revoked. It fails if that is not known.
	IsRevoked(ctx context.Context, claims *token.Claims, kid string) (bool, error)
	// RevokedSince is IsRevoked for a token that a door has let through before, also if the config that did so has been
	// replaced. It reports true as well if the issuer no longer has the key kid.
	RevokedSince(ctx context.Context, claims *token.Claims, kid string) (bool, error)
}

// TrustedIssuer is an issuer whose tokens a door takes.
type TrustedIssuer struct {
	Issuer
	Expect  token.Expect  // what its tokens must say; Config has the leeway
	Memory  *token.Memory // of its tokens, nil if none is remembered
	Metrics *metrics.Door
}
