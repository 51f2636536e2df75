package issuer

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/admission"
	"github.com/caddy-m2m/caddy-m2m/internal/assertion"
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
	authenticated
	// grantType is that of a token request, "" at other endpoints.
	grantType string

	refusal *registry.Refusal // why the client is refused, nil if it is not
	cause   string            // of the refusal, for the log of the operator; "" if its reason says it all
	slowed  bool              // whether the answer to a client that fails again and again is delayed, or refused
	least   time.Duration     // how long the answer to a client that is not authenticated takes at least
	waited  time.Duration     // how long such an answer was delayed
	pass    admission.Pass    // to do expensive work
}

// authenticated is who sends a request, and how that was found.
type authenticated struct {
	client *registry.Client // nil until it is authenticated
	// method is one of the methods of package oauth, such as oauth.PrivateKeyJWT. Policies, logs and metrics have it.
	method string
	// identity is what the verified assertion says, nil for a method without one.
	identity *assertion.Identity
	// keyID names the secret or the key of the client that was used, "" if the method has neither.
	keyID string
}

// faulty makes the answer to a failure on this side.
type faulty func(doing string, err error) *oauth.Error

// authenticate finds the client by its credentials. An unknown client, a wrong secret, assertion or certificate, and a disabled or
// expired client get the same answer at the same cost, and after the same delay. If the registry fails, fault makes the answer.
// The reason is for the log and the metrics.
func (c *call) authenticate(ctx context.Context, credentials oauth.Credentials, fault faulty) *oauth.Error {
	switch credentials.Method {
	case oauth.ClientSecretBasic, oauth.ClientSecretPost:
		return c.authenticateSecret(ctx, credentials, fault)
	case oauth.ClientAssertion:
		if c.isFederated(credentials) {
			return c.authenticateFederated(ctx, credentials, fault)
		}
		return c.authenticateAssertion(ctx, credentials, fault)
	}
	return c.authenticateCertificate(ctx, credentials.ClientID, fault)
}

// authenticateSecret finds a client by its secret.
func (c *call) authenticateSecret(ctx context.Context, credentials oauth.Credentials, fault faulty) *oauth.Error {
	if !c.issuer.takes(credentials.Method) {
		return oauth.UnsupportedClientAuthentication()
	}
	client, secretID, err := c.issuer.Registry.Authenticate(ctx, credentials.ClientID, credentials.Secret, c.start)
	if err != nil {
		return c.refuseOrFail(ctx, credentials.ClientID, err, fault)
	}
	if !client.Allows(credentials.Method) {
		return c.refuseSlowly(ctx, credentials.ClientID, &registry.Refusal{Reason: otherMethod, ClientID: client.ID})
	}
	return c.accept(authenticated{client: client, method: credentials.Method, keyID: secretID})
}

// accept ends the authentication of a client, by a method that the issuer must take.
func (c *call) accept(a authenticated) *oauth.Error {
	if !c.issuer.takes(a.method) {
		return oauth.UnsupportedClientAuthentication()
	}
	c.authenticated = a
	c.issuer.Metrics.Authenticated(a.method)
	if a.isOwnKey() {
		c.issuer.Usage.Seen(a.client.ID, a.keyID, c.start)
	}
	return nil
}

// isOwnKey reports whether keyID is a secret or a key of the client, and not of an issuer that is trusted.
func (a authenticated) isOwnKey() bool {
	return a.keyID != "" && a.method != oauth.FederatedJWT && a.method != oauth.SPIFFEJWT
}

// refuseOrFail answers an error of the registry. The id is the client's as it was sent.
func (c *call) refuseOrFail(ctx context.Context, id string, err error, fault faulty) *oauth.Error {
	var refusal *registry.Refusal
	if errors.As(err, &refusal) {
		return c.refuseSlowly(ctx, id, refusal)
	}
	if errors.Is(err, storage.ErrTooManyUnauthenticated) {
		c.issuer.warnOfCrowd()
	}
	return fault("reading the registry", err)
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
	isRepeated := errors.As(err, new(repeatedFault))
	if r.Context().Err() != nil || errors.Is(err, storage.ErrTooManyUnauthenticated) || isKeysFault(err) || isRepeated {
		return zap.DebugLevel
	}
	return zap.ErrorLevel
}
