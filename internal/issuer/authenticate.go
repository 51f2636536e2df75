package issuer

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/storage"
)

// parseInTime parses a request after httpguard.BoundBody. It removes the deadline after a complete body, because net/http would
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
func (s *Server) authenticate(ctx context.Context, id, secret string, now time.Time) (*registry.Client, error) {
	client, secretID, err := s.Registry.Authenticate(ctx, id, secret, now)
	switch {
	case errors.Is(err, registry.ErrRefused):
		return nil, nil
	case errors.Is(err, storage.ErrTooManyUnauthenticated):
		s.tellOfCrowd()
	}
	if err != nil {
		return nil, err
	}
	s.Usage.Seen(client.ID, secretID, now)
	return client, nil
}

// crowdInterval is the least time between two warnings about too many strangers.
const crowdInterval = time.Minute

// tellOfCrowd warns that requests are refused because too many strangers wait, once in crowdInterval.
func (s *Server) tellOfCrowd() {
	now, last := time.Now().UnixNano(), s.crowd.Load()
	if now-last >= int64(crowdInterval) && s.crowd.CompareAndSwap(last, now) {
		s.Logger.Warn("clients that are not in memory are refused for now: too many requests with unknown ids or wrong secrets ask the storage at once")
	}
}

// faultLevel returns the level at which a fault of ours is logged: debug if strangers can cause it at will.
func faultLevel(r *http.Request, err error) zapcore.Level {
	if r.Context().Err() != nil || errors.Is(err, storage.ErrTooManyUnauthenticated) {
		return zap.DebugLevel
	}
	return zap.ErrorLevel
}
