package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// bodyTimeout bounds the time of a request's body at the issuer's routes, where it has a few hundred bytes, and at a
// door that has refused the request.
const bodyTimeout = 10 * time.Second

// boundBody sets the deadline for the rest of a request's body. A client needs no credentials to begin a body, and
// net/http reads what the handler has left of it before it answers. Caddy's own timeouts are longer by default. The
// error is ignored: a server without deadlines bounds bodies itself. net/http sets a new deadline for the next request
// of the connection.
func boundBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 { // -1 if the length is not known
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
}

// parseInTime parses a request after boundBody. It removes the deadline after a complete body, because net/http would
// take the connection for lost when the deadline passes. After an error the deadline stays, for the rest of the body.
func parseInTime[T any](w http.ResponseWriter, r *http.Request, parse func(http.ResponseWriter, *http.Request) (*T, *oauth.Error)) (*T, *oauth.Error) {
	parsed, oerr := parse(w, r)
	if oerr == nil {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	return parsed, oerr
}

// authenticate returns the client whose secret this is, or nil. An unknown client, a wrong secret, and a disabled or
// expired client get the same answer at the same cost. It fails if the registry does.
func (i *issuerServer) authenticate(ctx context.Context, id, secret string, now time.Time) (*registry.Client, error) {
	client, secretID, err := i.registry.Authenticate(ctx, id, secret, now)
	switch {
	case errors.Is(err, registry.ErrRefused):
		return nil, nil
	case errors.Is(err, errTooManyStrangers):
		i.tellOfCrowd()
	}
	if err != nil {
		return nil, err
	}
	i.usage.Seen(client.ID, secretID, now)
	return client, nil
}

// crowdInterval is the least time between two warnings about too many strangers.
const crowdInterval = time.Minute

// tellOfCrowd warns that requests are refused because too many strangers wait, once in crowdInterval.
func (i *issuerServer) tellOfCrowd() {
	now, last := time.Now().UnixNano(), i.crowd.Load()
	if now-last >= int64(crowdInterval) && i.crowd.CompareAndSwap(last, now) {
		i.logger.Warn("clients that are not in memory are refused for now: too many requests with unknown ids or wrong secrets ask the storage at once")
	}
}

// faultLevel returns the level at which a fault of ours is logged: debug if strangers can cause it at will.
func faultLevel(r *http.Request, err error) zapcore.Level {
	if r.Context().Err() != nil || errors.Is(err, errTooManyStrangers) {
		return zap.DebugLevel
	}
	return zap.ErrorLevel
}
