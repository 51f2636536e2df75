// Package door decides whether a request goes through to its upstream: the m2m_auth directive without Caddy. New makes
// a Door of a Config, and Door.ServeHTTP checks each request in this order: it strips headers, refuses what is
// ambiguous, finds the route and passes the request if the route is public. Otherwise it verifies the token, asks whether
// it was revoked, checks the proofs of the keys that it is bound to, compares its scopes with those that the route requires, and
// asks the policy. The package may import metrics, decisionlog, policy, admin/api and leaves. It asks issuers through the
// interface Issuer, and the web server through Host.
package door

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/httphost"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Config is what a door is made of. The module m2m_auth documents its settings.
type Config struct {
	Issuers      []*TrustedIssuer // at least one, each with another URL
	Audience     []string         // at least one; the first names the resource
	Require      []*Requirement
	Public       []*PublicRoute
	Policy       *Policy // nil if there is none
	Leeway       time.Duration
	Headers      map[string]string // header name to claim name
	NoHeaders    bool
	TrustHeaders []string
	KeepToken    bool
	KeepStreams  bool
	NoMetadata   bool
	Binding      Binding
	ForwardAuth  ForwardAuth // "" if the door passes requests on

	Host    Host
	Metrics *metrics.Door // for requests of which no issuer is known, if there are several
	Logger  *zap.Logger
}

// Host is the web server that runs a door.
type Host interface {
	httphost.Host
	// Received returns the method and the URL of a request as the server received it. The URL is nil if that is not known.
	Received(r *http.Request) (method string, u *url.URL)
	// SetUser tells later handlers and the access log who sends a request. It comes before the headers change.
	SetUser(r *http.Request, claims *token.Claims)
	// Error returns an error that the server answers with the status.
	Error(status int, err error) error
	// HasErrorRoute reports whether the site answers an error of Error itself. If so, body is made available to it.
	HasErrorRoute(r *http.Request, err error, body []byte) bool
	// Metrics returns the metrics of an issuer in the config that runs now, nil if there are none. A stream may outlive
	// the config that let it through, whose metrics are no longer collected.
	Metrics(issuer string) *metrics.Door
}

// Handler is a handler behind the door.
type Handler interface {
	ServeHTTP(w http.ResponseWriter, r *http.Request) error
}

// Door lets a request through only with a token that covers it.
type Door struct {
	Config
	verifier  *token.Verifier
	routes    *Routes // nil if a token is enough
	identity  *identityHeaders
	overrides *httpguard.Overrides
	metadata  *resourceMetadata // nil if there is none

	certificateHeaders []string
	thumbprints        *thumbprints
}

// New makes a door. It fails on a pattern, a scope, a header or a claim that is malformed, and on settings that
// contradict each other.
func New(c Config) (*Door, error) {
	if len(c.Issuers) == 0 || len(c.Audience) == 0 {
		return nil, errors.New("a door needs an issuer and an audience")
	}
	if err := c.Binding.Check(c.ForwardAuth); err != nil {
		return nil, err
	}
	d := &Door{Config: c, certificateHeaders: c.Binding.certificateHeaders(), thumbprints: newThumbprints()}
	var err error
	if d.routes, err = compileRoutes(c.Require, c.Public); err != nil {
		return nil, err
	}
	if d.identity, err = newIdentityHeaders(c.Headers, c.NoHeaders); err != nil {
		return nil, err
	}
	if err := CheckForwardAuth(c.ForwardAuth, c.KeepToken, c.KeepStreams); err != nil {
		return nil, err
	}
	if !c.NoMetadata && c.ForwardAuth == "" { // an answer 200 with the document would let the request through
		d.metadata = newResourceMetadata(c.Audience[0], c.Issuers, c.Binding.describe())
	}
	if c.Policy != nil {
		if err := c.Policy.claimHeaders(d.identity); err != nil {
			return nil, err
		}
	}
	if d.overrides, err = d.trustHeaders(); err != nil {
		return nil, err
	}
	if err := d.checkCertificateHeader(); err != nil {
		return nil, err
	}
	issuers := make([]token.Trust, len(c.Issuers))
	for n, t := range c.Issuers {
		issuers[n] = token.Trust{Expect: t.Expect, Memory: t.Memory}
		issuers[n].Leeway, issuers[n].Bound = c.Leeway, true // the door checks the proofs
	}
	d.verifier = token.NewVerifier(issuers...)
	return d, nil
}

// ServeHTTP refuses the request or passes it to next. With ForwardAuth it answers instead.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request, next Handler) error {
	if d.ForwardAuth != "" {
		asked, refused := d.asked(r)
		if refused != nil {
			return d.refuse(w, r, refused)
		}
		r, next = asked, answer{d}
	}
	d.strip(r)
	if d.metadata.serves(r) {
		return d.metadata.answer(w, r, d.Host)
	}
	if refused := d.ambiguity(r); refused != nil {
		return d.refuse(w, r, refused)
	}
	m, unmatched := d.match(r)
	if m.needsNoToken() {
		return d.passPublic(w, r, next)
	}
	verified, refused := d.authenticate(w, r)
	if refused != nil {
		return d.refuse(w, r, refused.forTokenOf(m))
	}
	claims := verified.Claims
	headers, refused := d.authorize(r, claims, m, unmatched)
	if refused != nil {
		refused.issuer = claims.Issuer
		return d.refuse(w, r, refused)
	}
	d.verifier.Remember(verified)
	d.Host.SetUser(r, claims)
	d.setHeaders(r.Header, claims, headers)
	d.Host.AddLogFields(r, userFields(claims))
	d.metricsOf(claims.Issuer).Allowed()
	return d.pass(w, r, next, claims, verified.KeyID())
}

// userFields are the fields m2m_client_id, m2m_jti and, if the token is bound to a key, m2m_bound of a log line, in one field
// that replaces that of another door. Two would cost Caddy twice the allocations.
func userFields(claims *token.Claims) zap.Field {
	return zap.Field{Key: "m2m_client_id", Type: zapcore.InlineMarshalerType, Interface: (*loggedUser)(claims)}
}

type loggedUser token.Claims

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (u *loggedUser) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("m2m_client_id", u.ClientID)
	enc.AddString("m2m_jti", u.ID)
	if ways := waysOf((*token.Claims)(u).Confirmation()); len(ways) > 0 {
		enc.AddString("m2m_bound", strings.Join(ways, " "))
	}
	return nil
}

// setHeaders prepares the header for the upstream: the token, the identity headers, and what the policy sets.
func (d *Door) setHeaders(header http.Header, claims *token.Claims, more map[string]string) {
	if d.KeepToken {
		httpguard.PinHeaders(header, tokenHeaders)
	} else {
		header.Del("Authorization")
	}
	if !d.KeepToken || claims.Confirmation().JKT == "" { // a proof that was not checked
		header.Del(dpop.Header)
	}
	httpguard.DropUpgrades(header)
	d.identity.set(header, claims)
	for name, value := range more {
		header.Set(name, value)
	}
}

// tokenHeaders are the headers that KeepToken leaves to the upstream: a token and its proof. What an upstream may take for them
// never goes on.
var tokenHeaders = []string{"Authorization", dpop.Header}

// Trusts reports whether the door takes tokens of an issuer.
func (d *Door) Trusts(issuer string) bool { return d.trusted(issuer) != nil }

// trusted returns the issuer of a URL, nil if the door does not take its tokens.
func (d *Door) trusted(issuer string) *TrustedIssuer {
	for _, t := range d.Issuers {
		if t.Expect.Issuer == issuer {
			return t
		}
	}
	return nil
}

// OnlyIssuer returns the URL of the door's issuer, "" if there are several.
func (d *Door) OnlyIssuer() string {
	if len(d.Issuers) == 1 {
		return d.Issuers[0].Expect.Issuer
	}
	return ""
}

// metricsOf returns the metrics of the issuer of a token, or those of requests whose issuer is not known.
func (d *Door) metricsOf(issuer string) *metrics.Door {
	if t := d.trusted(issuer); t != nil {
		return t.Metrics
	}
	return d.Metrics
}
