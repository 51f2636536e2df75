package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// AuthHandler is the m2m_auth directive: it lets a request through to the next handler only with
// an access token (RFC 9068) of one of its issuers, for its audience, that covers the scope which the
// route requires. Refusals are RFC 6750's: 400, 401 and 403 with a challenge; 503 when the keys
// cannot be had.
//
// The request to the next handler has no Authorization header, unless KeepToken is set. It has no trailer,
// and no header that overrides its URL or host, unless TrustHeaders names it. This handler alone sets its
// identity headers. The request also has placeholders:
//
//	{http.auth.user.id}             the token's sub
//	{http.auth.user.client_id}      its client_id
//	{http.auth.user.scope}          its scopes, separated by spaces
//	{http.auth.user.jti}            its ID
//	{http.auth.user.issuer}         its issuer
//	{http.auth.user.claims.<name>}  any claim
type AuthHandler struct {
	// Issuer is the URL of the issuer whose tokens are taken. One that the m2m app does not have
	// is remote: its keys are found by discovery (RFC 8414 or OpenID Connect) and cached.
	// Placeholders: {env.*} and {file.*}. Default: the app's only issuer.
	Issuer string `json:"issuer,omitempty"`

	// Issuers are several issuers whose tokens are taken, or one with options, in place of Issuer. The
	// token's iss chooses one of them exactly, and then that one's keys and options alone count.
	// Client IDs of different issuers may be the same: tell them apart by iss.
	Issuers []*TrustedIssuer `json:"issuers,omitempty"`

	// Audience is what `aud` must hold, any one of them; the first names this resource in its
	// metadata (RFC 9728). Placeholders: {env.*} and {file.*}. Default: the (first) issuer's audience;
	// required for a remote issuer that has none of its own.
	Audience []string `json:"audience,omitempty"`

	// Require maps requests to the scopes that they need. With no entry a valid token is enough;
	// with one, a request that matches none is refused with 403.
	Require []*door.Requirement `json:"require,omitempty"`

	// Policy has Rego decide, too, on requests that Require lets through. Default: none, and no
	// Rego is run for proxied requests.
	Policy *RequestPolicy `json:"policy,omitempty"`

	// Leeway is how far the clocks of issuer and door may be apart when exp, nbf and iat are
	// checked. At most 5m. Default: 30s.
	Leeway *caddy.Duration `json:"leeway,omitempty"`

	// Headers are set on the request to the next handler: header name to claim name. Whatever the
	// client sent under these names, in any spelling, is removed, also when the token has no such
	// claim. Default: X-Client-Id from client_id and X-Client-Scope from scope.
	Headers map[string]string `json:"headers,omitempty"`

	// NoHeaders sets no identity headers. The default names are removed from requests all the same.
	NoHeaders bool `json:"no_headers,omitempty"`

	// TrustHeaders are header fields that reach the upstream although they override the method, the URL
	// or the host. Name those that a proxy in front sets on every request. Only the spelling
	// that is given here passes, without regard to case. Without this option the door removes fields
	// that override the URL or the host, such as X-Forwarded-Prefix, X-Original-URL and Forwarded
	// (RFC 7239), and refuses a request with one that overrides the method, such as
	// X-HTTP-Method-Override, with 400. A trusted method is not judged: Require and Policy see the
	// request's own method, and a client that can send the field chooses the method that the upstream
	// acts on. A name that the door neither removes nor refuses is an error; X-Forwarded-For,
	// X-Forwarded-Host and X-Forwarded-Proto are governed by reverse_proxy's trusted_proxies. Default:
	// none.
	TrustHeaders []string `json:"trust_headers,omitempty"`

	// KeepToken leaves the Authorization header on the request to the next handler, which can then
	// use the token itself. Only for upstreams that are trusted with it. Default: false.
	KeepToken bool `json:"keep_token,omitempty"`

	// KeepStreams lets WebSockets, server-sent events, uploads and downloads outlive the token. By default the door ends
	// a request that it let through when the token expires (RFC 7519 §4.1.4; Leeway is added). It also ends one within a
	// second after it would refuse a new request because the token, its client or its key was revoked (RFC 7009 §2.1),
	// or because it cannot know that. With KeepStreams, revoking a token ends none of its connections, also after a
	// leak. Default: false.
	KeepStreams bool `json:"keep_streams,omitempty"`

	// NoMetadata neither serves the protected resource metadata (RFC 9728) nor names it in
	// challenges. Default: false, where the audience is an http or https URL.
	NoMetadata bool `json:"no_metadata,omitempty"`

	trusted []*TrustedIssuer // of Issuer or Issuers, at least one
	door    *door.Door
	routes  *door.Routes // of the Caddyfile's lines so far
	metrics *metrics.Door
	logger  *zap.Logger
	logs    accessLogs
}

// CaddyModule says how Caddy finds the handler.
func (*AuthHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.m2m_auth", New: func() caddy.Module { return new(AuthHandler) }}
}

// Provision finds the issuers and makes the door. It fails on a pattern, a scope, a header or a claim that is malformed.
// It uses no network.
func (h *AuthHandler) Provision(ctx caddy.Context) error {
	h.logger, h.logs = logmask.Logger(ctx.Logger()), newAccessLogs(ctx)
	if err := h.resolve(); err != nil {
		return err
	}
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	if err := h.findIssuers(app); err != nil {
		return err
	}
	c := door.Config{
		Audience: h.Audience, Require: h.Require, Headers: h.Headers, NoHeaders: h.NoHeaders, TrustHeaders: h.TrustHeaders,
		KeepToken: h.KeepToken, KeepStreams: h.KeepStreams, NoMetadata: h.NoMetadata,
		Host: caddyHost{}, Metrics: h.metrics, Logger: h.logger,
	}
	for _, t := range h.trusted {
		c.Issuers = append(c.Issuers, &door.TrustedIssuer{Issuer: t.issuer, Expect: t.expect(), Metrics: t.metrics})
	}
	if c.Leeway, err = h.leeway(); err != nil {
		return err
	}
	if h.Policy != nil {
		if c.Policy, err = h.Policy.provision(h, app.storage, app.logger.Named("decisions")); err != nil {
			return fmt.Errorf("policy: %w", err)
		}
	}
	if h.door, err = door.New(c); err != nil {
		return err
	}
	app.doors = append(app.doors, h)
	return nil
}

func (h *AuthHandler) resolve() error {
	fields := []*string{&h.Issuer}
	for n := range h.Audience {
		fields = append(fields, &h.Audience[n])
	}
	return replaceAll(caddy.NewReplacer(), fields...)
}

// leeway returns how far clocks may be apart.
func (h *AuthHandler) leeway() (time.Duration, error) {
	leeway := token.DefaultLeeway
	if h.Leeway != nil {
		leeway = time.Duration(*h.Leeway)
	}
	if leeway < 0 || leeway > token.MaxLeeway {
		return 0, fmt.Errorf("leeway is %s; it is at least 0s and at most %s", leeway, token.MaxLeeway)
	}
	return leeway, nil
}

// Cleanup closes the door's own policy.
func (h *AuthHandler) Cleanup() error {
	if h.Policy != nil {
		h.Policy.cleanup()
	}
	return nil
}

// ServeHTTP checks the request and either refuses it or passes it on.
func (h *AuthHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return h.logs.serve(w, r, func(w http.ResponseWriter, r *http.Request) error { return h.door.ServeHTTP(w, r, next) })
}

// listed returns the issuers of the config, from Issuer or from Issuers.
func (h *AuthHandler) listed() ([]*TrustedIssuer, error) {
	if len(h.Issuers) == 0 {
		return []*TrustedIssuer{{URL: h.Issuer}}, nil
	}
	if h.Issuer != "" {
		return nil, errors.New("issuer and issuers are both given; one of them says whose tokens are taken")
	}
	for n, t := range h.Issuers {
		switch {
		case t == nil:
			return nil, fmt.Errorf("issuers: %d is null", n)
		case t.URL == "":
			return nil, fmt.Errorf("issuers: %d has no issuer", n)
		}
	}
	return h.Issuers, nil
}

// checkIssuers finds errors of those issuers that are known without placeholders.
func (h *AuthHandler) checkIssuers(app *App) error {
	all, err := h.listed()
	if err != nil {
		return err
	}
	for _, t := range all {
		if hasPlaceholder(t.URL) {
			continue
		}
		if _, err := t.find(app, h.Audience); err != nil {
			return err
		}
	}
	return nil
}

// findIssuers finds all issuers, and gives the door the audience of the first if it has none.
func (h *AuthHandler) findIssuers(app *App) error {
	var err error
	if h.trusted, err = h.listed(); err != nil {
		return err
	}
	for _, audience := range h.Audience {
		if err := token.CheckName(audience); err != nil {
			return fmt.Errorf("audience: %w", err)
		}
	}
	seen := make(map[string]bool)
	for _, t := range h.trusted {
		if err := t.provision(app, h.Audience); err != nil {
			return err
		}
		if seen[t.URL] {
			return fmt.Errorf("issuer %q is given twice", t.URL)
		}
		seen[t.URL] = true
	}
	if len(h.Audience) == 0 {
		h.Audience = h.trusted[0].Audience
	}
	h.metrics = h.trusted[0].metrics
	if len(h.trusted) > 1 {
		h.metrics = app.metrics.Door("")
	}
	return nil
}

// onlyIssuer returns the URL of the door's only issuer, "" if it has several.
func (h *AuthHandler) onlyIssuer() string {
	if len(h.trusted) == 1 {
		return h.trusted[0].URL
	}
	return ""
}
