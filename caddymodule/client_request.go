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

// bodyTimeout is how long the body of a request may take at the issuer's routes, where it has a few hundred bytes, and
// once a door has refused the request.
const bodyTimeout = 10 * time.Second

// boundBody bounds the time of a body that nobody waits for. It takes no credentials to begin one, and net/http reads
// what a handler has left of it before it answers. Caddy's own timeouts are a minute, or what the config says. Servers
// that know no deadlines bound it themselves. For the next request of the connection net/http sets another deadline.
func boundBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 { // -1 of one whose length is not known
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
}

// parseInTime reads a request whose body is bounded. After a body that has come the deadline is lifted, for else
// net/http takes the connection for lost when it passes. After another one it stays, for what is left.
func parseInTime[T any](w http.ResponseWriter, r *http.Request, parse func(http.ResponseWriter, *http.Request) (*T, *oauth.Error)) (*T, *oauth.Error) {
	parsed, oerr := parse(w, r)
	if oerr == nil {
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	}
	return parsed, oerr
}

// authenticate returns the client whose secret this is, or nil. An unknown client, a wrong secret, and a disabled or
// expired client are answered alike, and cost alike. An error is the registry's.
func (i *Issuer) authenticate(ctx context.Context, id, secret string, now time.Time) (*registry.Client, error) {
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

// crowdInterval is how often it is logged that too many strangers ask at once.
const crowdInterval = time.Minute

// tellOfCrowd logs, once in a while, that requests are refused because too many strangers ask.
func (i *Issuer) tellOfCrowd() {
	now, last := time.Now().UnixNano(), i.crowd.Load()
	if now-last >= int64(crowdInterval) && i.crowd.CompareAndSwap(last, now) {
		i.logger.Warn("clients that are not in memory are refused for now: too many requests with unknown ids or wrong secrets ask the storage at once")
	}
}

// faultLevel is the level at which a fault of ours is logged. What strangers can cause at will is at debug level.
func faultLevel(r *http.Request, err error) zapcore.Level {
	if r.Context().Err() != nil || errors.Is(err, errTooManyStrangers) {
		return zap.DebugLevel
	}
	return zap.ErrorLevel
}
