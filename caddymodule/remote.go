package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// remoteIssuers are shared by all configs of the process, so that a reload while an issuer is down
// does not lose its keys.
var remoteIssuers = caddy.NewUsagePool()

// remotePlace names a remote issuer and the origins that its keys may come from. Configs that allow different origins
// do not share keys.
type remotePlace struct {
	url     string
	origins string // besides the issuer's own, sorted, separated by spaces
}

func remotePlaceOf(url string, jwksOrigins []string) remotePlace {
	return remotePlace{url, strings.Join(slices.Compact(slices.Sorted(slices.Values(jwksOrigins))), " ")}
}

// remoteIssuer is an issuer elsewhere: its keys are found by discovery and cached, and what it has revoked is followed
// if it publishes that.
type remoteIssuer struct {
	place       remotePlace
	keys        *discovery.Keys[*token.KeySet]
	revocations *remoteRevocations
}

// newRemoteIssuer reaches for nothing; the first token does. It is to be closed by Destruct. It may
// outlive the config that made it, so it asks for a logger whenever it needs one. A nil client is one of its own.
func newRemoteIssuer(place remotePlace, client *http.Client, logger func() *zap.Logger) *remoteIssuer {
	named := func() *zap.Logger { return logger().With(zap.String("issuer", place.url)) }
	skipped := "" // of the keys that were read last
	keys := discovery.NewKeys(context.Background(), discovery.Config[*token.KeySet]{
		Issuer:      place.url,
		JWKSOrigins: strings.Fields(place.origins),
		Client:      client,
		Parse: func(jwks []byte) (*token.KeySet, error) {
			set, all, err := token.ParseKeySet(jwks)
			if text := fmt.Sprint(all); text != skipped {
				skipped = text
				for _, why := range all {
					named().Warn("a key of a remote issuer is left out", zap.Error(why))
				}
			}
			return set, err
		},
		Has:     (*token.KeySet).Has,
		OnFetch: poll.OncePerReason(func(err error) { named().Error("keys of a remote issuer cannot be refreshed", zap.Error(err)) }),
		OnMetadata: poll.OncePerReason(func(err error) {
			named().Error("metadata of a remote issuer cannot be read, its keys are fetched from where they were", zap.Error(err))
		}),
	})
	return &remoteIssuer{place: place, keys: keys, revocations: followRevocations(place.url, client, keys, named)}
}

// currentLogger returns the plugin's logger in the current config.
func currentLogger() *zap.Logger { return logmask.Logger(caddy.Log()).Named("m2m") }

// Destruct ends the refreshing once no config uses the issuer.
func (r *remoteIssuer) Destruct() error {
	r.revocations.close()
	r.keys.Close()
	return nil
}

// keySet fetches the keys when there are none, when they are too old, and at most now and then
// for a kid that they do not have.
func (r *remoteIssuer) keySet(ctx context.Context, kid string) (*token.KeySet, error) {
	return keysOrFault(r.keys.Get(ctx, kid))
}

func keysOrFault(keys *token.KeySet, err error) (*token.KeySet, error) {
	if err != nil {
		return nil, fmt.Errorf("getting the issuer's keys: %w", err)
	}
	return keys, nil
}
