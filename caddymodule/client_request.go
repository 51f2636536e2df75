package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// bodyTimeout is how long the body of a client's request may take, which is a few hundred bytes.
const bodyTimeout = 10 * time.Second

// parseInTime reads a request. No credentials are needed to begin a body, so it may not take for ever.
// Servers that know no deadlines bound it themselves.
func parseInTime[T any](w http.ResponseWriter, r *http.Request, parse func(http.ResponseWriter, *http.Request) (*T, *oauth.Error)) (*T, *oauth.Error) {
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(bodyTimeout))
	defer func() { _ = connection.SetReadDeadline(time.Time{}) }()
	return parse(w, r)
}

// authenticate finds the client; nil is that it did not prove who it is. An unknown client, a wrong
// secret, and a disabled or expired client are answered alike, and cost alike. An error is the
// registry's.
func (i *Issuer) authenticate(ctx context.Context, id, secret string, now time.Time) (*registry.Client, error) {
	client, err := i.registry.Client(ctx, id)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return nil, err
	}
	secretID, ok := client.Authenticate(secret, now)
	if !ok {
		return nil, nil
	}
	i.usage.Seen(client.ID, secretID, now)
	return client, nil
}
