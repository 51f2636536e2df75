package issuer

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/admission"
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

// call is one request of a client at an endpoint of the issuer.
type call struct {
	issuer *Server
	http   *http.Request
	start  time.Time
	client *registry.Client // nil until it is authenticated

	refusal *registry.Refusal // why the client is refused, nil if it is not
	slowed  bool              // whether the answer to a client that is not authenticated is delayed, or refused
	waited  time.Duration     // how long such an answer was delayed
	pass    admission.Pass    // to do expensive work
}

// authenticate finds the client. An unknown client, a wrong secret, and a disabled or expired client get the same answer
// at the same cost, and after the same delay. If the registry fails, fault makes the answer.
// The reason is for the log and the metrics.
func (c *call) authenticate(ctx context.Context, id, secret string, fault func(doing string, err error) *oauth.Error) *oauth.Error {
	client, secretID, err := c.issuer.Registry.Authenticate(ctx, id, secret, c.start)
	if err != nil {
		var refusal *registry.Refusal
		if errors.As(err, &refusal) {
			return c.refuseSlowly(ctx, id, refusal)
		}
		if errors.Is(err, storage.ErrTooManyUnauthenticated) {
			c.issuer.warnOfCrowd()
		}
		return fault("reading the registry", err)
	}
	c.issuer.Usage.Seen(client.ID, secretID, c.start)
	c.client = client
	return nil
}

// clientID returns the client's ID if the registry has the client. The log does not repeat another one, which the client may
// have made up or confused with its secret.
func (c *call) clientID() string {
	switch {
	case c.client != nil:
		return c.client.ID
	case c.refusal != nil:
		return c.refusal.ClientID
	}
	return ""
}

// reason returns why the client is refused, "" if it is not.
func (c *call) reason() string {
	if c.refusal == nil {
		return ""
	}
	return c.refusal.Reason
}

// countUnusable counts a request whose credentials could not be looked up.
func (c *call) countUnusable(err *oauth.Error) {
	if err.Code == oauth.CodeInvalidClient && c.refusal == nil {
		c.refuseClient(&registry.Refusal{Reason: unusableCredentials})
	}
}

// crowdInterval is the least time between two warnings about too many unauthenticated requests.
const crowdInterval = time.Minute

// warnOfCrowd warns that requests are refused because too many unauthenticated ones wait, once in crowdInterval.
func (s *Server) warnOfCrowd() {
	now, last := time.Now().UnixNano(), s.crowd.Load()
	if now-last >= int64(crowdInterval) && s.crowd.CompareAndSwap(last, now) {
		s.Logger.Warn("clients that are not in memory are refused for now: too many requests with unknown ids or wrong secrets ask the storage at once")
	}
}

// faultLevel returns the level at which a failure on this side is logged: debug if anyone can cause it at will.
func faultLevel(r *http.Request, err error) zapcore.Level {
	if r.Context().Err() != nil || errors.Is(err, storage.ErrTooManyUnauthenticated) {
		return zap.DebugLevel
	}
	return zap.ErrorLevel
}
