package caddymodule

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// remoteIssuer is an issuer elsewhere: its keys are found by discovery and cached.
type remoteIssuer struct {
	keys *discovery.Keys[*token.KeySet]
}

// newRemoteIssuer reaches for nothing; the first token does. It ends with ctx.
func newRemoteIssuer(ctx context.Context, url string, logger *zap.Logger) *remoteIssuer {
	logger = logger.With(zap.String("issuer", url))
	return &remoteIssuer{keys: discovery.NewKeys(ctx, discovery.Config[*token.KeySet]{
		Issuer: url,
		Parse:  func(jwks []byte) (*token.KeySet, error) { return parseRemoteKeys(jwks, logger) },
		Has:    (*token.KeySet).Has,
		OnError: func(err error) {
			logger.Error("keys of a remote issuer cannot be refreshed", zap.Error(err))
		},
	})}
}

func parseRemoteKeys(jwks []byte, logger *zap.Logger) (*token.KeySet, error) {
	set, skipped, err := token.ParseKeySet(jwks)
	for _, why := range skipped {
		logger.Warn("a key of a remote issuer is left out", zap.Error(why))
	}
	return set, err
}

// keySet fetches the keys when there are none, when they are too old, and at most now and then
// for a kid that they do not have.
func (r *remoteIssuer) keySet(ctx context.Context, kid string) (*token.KeySet, error) {
	keys, err := r.keys.Get(ctx, kid)
	if err != nil {
		return nil, fmt.Errorf("getting the issuer's keys: %w", err)
	}
	return keys, nil
}

// scopesOf knows of no scopes: the issuer's own metadata lists them.
func (r *remoteIssuer) scopesOf(context.Context, string) ([]string, error) { return nil, nil }
