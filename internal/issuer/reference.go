package issuer

import (
	"context"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/admission"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// tokenReference is one request about a token, at the introspection or the revocation endpoint.
type tokenReference struct {
	call
	oauth *oauth.TokenReference
}

// referenceEndpoint is an endpoint for requests about a token.
type referenceEndpoint struct {
	name   string
	weight int // for the client's rate
	count  func(m *metrics.Issuer, result string)
	// serve returns the outcome as a metric label, or an error, which serveReference writes.
	serve func(*tokenReference, http.ResponseWriter) (string, *oauth.Error)
}

// An introspection costs a fraction of a token, and an API may introspect the tokens of all its callers. A revocation is
// written to the storage.
var (
	introspecting = referenceEndpoint{introspectionEndpoint, admission.Light, (*metrics.Issuer).Introspection, (*tokenReference).introspect}
	revoking      = referenceEndpoint{revocationEndpoint, admission.Full, (*metrics.Issuer).Revocation, (*tokenReference).revoke}
)

// serveReference reads a request about a token, authenticates its client as the token endpoint does, and serves it.
func (s *Server) serveReference(at referenceEndpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t := &tokenReference{call: call{issuer: s, http: r, start: time.Now()}}
		defer t.pass.Leave()
		parsed, oerr := parseInTime(w, r, oauth.ParseTokenReference)
		if oerr == nil {
			t.oauth = parsed
			oerr = t.authenticate(r.Context(), parsed.Credentials, t.fault)
		}
		var result string
		if oerr == nil {
			s.Host.AddLogFields(r, zap.String("m2m_client_id", t.client.ID), zap.String("m2m_auth_method", t.method), zap.String("m2m_key_id", t.keyID))
			oerr = t.admit(at.name, at.weight)
		}
		if oerr == nil {
			result, oerr = at.serve(t, w)
			t.pass.Leave()
		}
		if oerr != nil {
			result = oerr.Code
			t.countUnusable(oerr)
			t.logRefusal(oerr)
			oerr.Write(w)
		}
		at.count(s.Metrics, result)
	}
}

// claims returns the claims of the token, for any audience. It returns nil for a token that is malformed, expired or of
// another issuer, and fails if the keys cannot be read.
func (t *tokenReference) claims(ctx context.Context, leeway time.Duration) (*token.Claims, error) {
	// the caller asks about the token, and does not use it
	claims, err := t.ownClaims(ctx, t.oauth.Token, token.Expect{Leeway: leeway, Bound: true})
	if token.ErrorReason(err) != "" {
		return nil, nil
	}
	return claims, err
}

// ownClaims verifies a token of this issuer for any audience, and returns its claims. The error is a *token.Error for a token that
// is not valid. Others are faults on this side.
func (c *call) ownClaims(ctx context.Context, raw string, expect token.Expect) (*token.Claims, error) {
	kid, err := token.KeyID(raw)
	if err != nil {
		return nil, err
	}
	if loaded := c.issuer.Keys.Loaded(); loaded == nil || !loaded.Public.Has(kid) {
		c.pass.Yield() // before it waits for the storage
	}
	keys, err := c.issuer.Keys.KeySetNow(ctx, kid)
	if err != nil {
		return nil, err
	}
	expect.Issuer, expect.AnyAudience = c.issuer.URL, true
	return token.Verify(raw, keys, expect)
}

// fault logs a failure on this side with its cause, and returns the answer, which does not have it.
func (t *tokenReference) fault(doing string, err error) *oauth.Error {
	t.issuer.Logger.Log(faultLevel(t.http, err), doing+" failed, the state of a token is not known", zap.String("path", t.http.URL.Path), zap.Error(err))
	return oauth.Unavailable("the state of the token is not known now")
}

// logRefusal logs at debug level, because anyone can cause refusals.
func (t *tokenReference) logRefusal(err *oauth.Error) {
	t.addRefusalFields(err)
	if c := t.issuer.Logger.Check(zap.DebugLevel, "request about a token refused"); c != nil {
		c.Write(zap.String("path", t.http.URL.Path), zap.String("client_id", t.clientID()), zap.String("remote_ip", t.issuer.Host.ClientIP(t.http)),
			zap.String("error", err.Code), zap.String("description", err.Description), zap.String("reason", t.reason()))
	}
}
