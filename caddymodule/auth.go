package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/clientcert"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// AuthHandler is the directive m2m_auth. It passes a request to the next handler only with an access token (RFC 9068) of
// one of its issuers, for its audience, that covers the scope which the route requires. It refuses others as RFC 6750 §3
// says: with 400, 401 or 403 and a challenge. It answers 503 if it does not have the keys, or does not know what is revoked.
//
// The request to the next handler has no trailers and, without KeepToken, no Authorization header. It has a header that
// overrides its URL or host only if TrustHeaders names it. Its identity headers come from this handler alone. It has the
// placeholders:
//
//	{http.auth.user.id}             the token's sub
//	{http.auth.user.client_id}      its client_id
//	{http.auth.user.scope}          its scopes, separated by spaces
//	{http.auth.user.jti}            its ID
//	{http.auth.user.issuer}         its issuer
//	{http.auth.user.claims.<name>}  any claim
type AuthHandler struct {
	// Issuer is the URL of the issuer whose tokens are accepted. If the m2m app does not have it, it is a remote issuer: its
	// keys are found by discovery (RFC 8414 or OpenID Connect) and cached. Placeholders: {env.*} and {file.*}. Default:
	// the app's only issuer.
	Issuer string `json:"issuer,omitempty"`

	// Issuers are the issuers whose tokens are accepted, with their options. Issuer and Issuers exclude each other. The `iss`
	// of a token selects one of them, and only the keys and options of that one apply. Two issuers may use the same
	// client ID for different clients; `iss` tells them apart. Default: none.
	Issuers []*TrustedIssuer `json:"issuers,omitempty"`

	// Audience are the accepted values of `aud`. A token needs one of them. The first one names this resource in its metadata
	// (RFC 9728 §2). Placeholders: {env.*} and {file.*}. Default: the audience of the first issuer. Required if a remote
	// issuer has no audience of its own.
	Audience []string `json:"audience,omitempty"`

	// Require maps requests to the scopes that they need. If there is an entry, a request that matches none is refused with
	// 403. Default: none, and a valid token is enough.
	Require []*door.Requirement `json:"require,omitempty"`
	// Public are the requests that need no token, such as those of a health check. The most specific pattern of Require and
	// Public wins. All checks of the path, the host and the method apply, and the identity headers are removed. A token
	// that is sent anyway is not checked, and does not reach the next handler, also with KeepToken. Policy is not asked.
	// A Public without Require leaves other requests as they are: a valid token is enough. Default: none.
	Public []*door.PublicRoute `json:"public,omitempty"`

	// Policy also decides, in Rego, on the requests that Require passes. Default: none.
	Policy *RequestPolicy `json:"policy,omitempty"`

	// Leeway is the accepted difference between the clocks of issuer and handler when exp, nbf and iat are checked (RFC 7519
	// §4.1). At least 0s, at most 5m. Default: 30s.
	Leeway *caddy.Duration `json:"leeway,omitempty"`

	// Headers maps names of headers to names of claims. These headers are set on the request to the next handler. Fields that
	// the client sent under these names, in any spelling, are removed, also if the token does not have the claim. Default:
	// X-Client-Id from client_id and X-Client-Scope from scope.
	Headers map[string]string `json:"headers,omitempty"`

	// NoHeaders sets no identity headers. The headers with the default names are still removed from requests. Default: false.
	NoHeaders bool `json:"no_headers,omitempty"`

	// TrustHeaders are headers that reach the upstream although they override the method, the URL or the host. Name only those
	// that a proxy in front sets on every request. Only the given spelling passes, in any case. Other headers that
	// override the URL or the host, such as X-Forwarded-Prefix, X-Original-URL and Forwarded (RFC 7239), are removed. A
	// request with another header that overrides the method, such as X-HTTP-Method-Override, is refused with 400. Require
	// and Policy do not see a method in a trusted header: a client that can send the header chooses the method that the
	// upstream uses. A name that would neither be removed nor refused is an error. X-Forwarded-For, X-Forwarded-Host and
	// X-Forwarded-Proto follow the trusted_proxies of reverse_proxy. Default: none.
	TrustHeaders []string `json:"trust_headers,omitempty"`

	// KeepToken keeps the Authorization header on the request to the next handler, which can then use the token itself. Set
	// it only for an upstream that you trust with the token. Default: false.
	KeepToken bool `json:"keep_token,omitempty"`

	// KeepStreams lets WebSockets, server-sent events, uploads and downloads outlive the token. Without it a request ends when
	// its token expires (RFC 7519 §4.1.4), plus Leeway. A request also ends within a second after the handler would refuse
	// a new one because the token, its client or its key was revoked (RFC 7009 §2.1), or because the handler does not know
	// what is revoked. With KeepStreams, revoking a leaked token does not end its connections. Default: false.
	KeepStreams bool `json:"keep_streams,omitempty"`

	// Bound refuses tokens that are not bound to a key of their client in one of these ways: "dpop" (RFC 9449) or "mtls" (RFC
	// 8705). Without it, plain bearer tokens are accepted, too. A token that is bound to keys (`cnf`) always needs the proof of
	// each: for dpop, the scheme DPoP and a proof in the header DPoP, signed for this request; for mtls, the client
	// certificate in the TLS handshake, for which the site needs Caddy's client_auth. A token with a `cnf` of any other form is
	// refused. Default: none.
	Bound []string `json:"bound,omitempty"`

	// ClientCertificateHeader is the header in which a proxy that terminates TLS sends the client's certificate, in the form of RFC
	// 9440 §2.2. It counts only from the trusted_proxies of the server, and then the certificate of the connection, which is
	// that of the proxy, does not. The proxy must replace or remove the header on every request. The headers Client-Cert and
	// Client-Cert-Chain of other peers never reach the next handler. Default: none, and the certificate of the connection counts.
	ClientCertificateHeader string `json:"client_certificate_header,omitempty"`

	// DPoPNonce requires a nonce of this handler in the proofs of DPoP (RFC 9449 §9). A client whose proof has none, or an old one,
	// gets 401 use_dpop_nonce with a nonce, and sends the request again. So no client can make proofs ahead of time, and the clock
	// of the client makes no difference. All nodes with one storage accept each other's nonces. Default: false.
	DPoPNonce bool `json:"dpop_nonce,omitempty"`

	// NoMetadata neither serves the protected resource metadata (RFC 9728 §3) nor names it in challenges. Default: false. The
	// metadata is served only if the audience is an http or https URL.
	NoMetadata bool `json:"no_metadata,omitempty"`

	// ForwardAuth makes the handler answer a proxy that asks whether it may forward a request (nginx's auth_request, the
	// forward_auth of Caddy, Traefik's ForwardAuth, Envoy's ext_authz), instead of passing the request on. The answer is 200
	// with the identity headers, or the refusal. The value says where the handler finds the request that the proxy asks
	// about: "same_request", if the proxy repeats its method, host and URL; "x_forwarded", in X-Forwarded-Method,
	// X-Forwarded-Host and X-Forwarded-Uri; "x_original", in X-Original-Method and X-Original-URL. Name headers only if the
	// proxy sets them on every request, because a client that can send them chooses what is judged. A request is refused
	// with 400 if a header is missing, or if it has a header that this handler would otherwise remove. No protected
	// resource metadata is served. KeepToken and KeepStreams are then errors. Default: the request is passed on.
	ForwardAuth door.ForwardAuth `json:"forward_auth,omitempty"`

	// Position is the file and the line of the Caddyfile, such as Caddyfile:12. The Caddyfile adapter sets it. Warnings about
	// the config name it; nothing else uses it. Default: none.
	Position string `json:"position,omitempty"`

	trusted []*TrustedIssuer // from Issuer or Issuers, at least one
	door    *door.Door
	routes  *door.Routes // of the `require` and `public` lines that are parsed so far
	metrics *metrics.Door
	logger  *zap.Logger
	logs    accessLogs
}

// CaddyModule returns the ID and the constructor of the handler.
func (*AuthHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.m2m_auth", New: func() caddy.Module { return new(AuthHandler) }}
}

// Provision finds the issuers and creates the door. It fails on a malformed pattern, scope, header or claim. It does not
// use the network.
func (h *AuthHandler) Provision(ctx caddy.Context) error {
	h.logger, h.logs = logmask.Logger(ctx.Logger()), newAccessLogs(ctx)
	if err := replaceAll(caddy.NewReplacer(), append(pointers(h.Audience), &h.Issuer)...); err != nil {
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
		Audience: h.Audience, Require: h.Require, Public: h.Public, Headers: h.Headers, NoHeaders: h.NoHeaders, TrustHeaders: h.TrustHeaders,
		KeepToken: h.KeepToken, KeepStreams: h.KeepStreams, NoMetadata: h.NoMetadata, ForwardAuth: h.ForwardAuth,
		Host: caddyHost{}, Metrics: h.metrics, Logger: h.logger,
	}
	for _, t := range h.trusted {
		c.Issuers = append(c.Issuers, &door.TrustedIssuer{Issuer: t.issuer, Expect: t.expect(), Memory: t.memory, Metrics: t.metrics})
	}
	if c.Leeway, err = h.leeway(); err != nil {
		return err
	}
	c.Binding = h.binding()
	c.Binding.Proofs = app.proofs(h.DPoPNonce, "door "+strings.Join(h.Audience, " "))
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

func (h *AuthHandler) binding() door.Binding {
	return door.Binding{Required: h.Bound, Certificates: clientcert.Reader{Header: h.ClientCertificateHeader}}
}

func (h *AuthHandler) leeway() (time.Duration, error) {
	leeway := token.DefaultLeeway
	if h.Leeway != nil {
		leeway = time.Duration(*h.Leeway)
	}
	return leeway, checkBounds("leeway", leeway, 0, token.MaxLeeway)
}

// Cleanup closes the door's own policy.
func (h *AuthHandler) Cleanup() error {
	if h.Policy != nil && h.Policy.own { // otherwise it is an issuer's, or Provision has failed
		h.Policy.engine.Close()
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
		return []*TrustedIssuer{{Reach: Reach{URL: h.Issuer}}}, nil
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

// checkIssuers checks the issuers of which no URL has placeholders.
func (h *AuthHandler) checkIssuers(app *App) error {
	all, err := h.listed()
	if err != nil {
		return err
	}
	for _, t := range all {
		if !t.known() {
			continue
		}
		if _, err := t.find(app, h.Audience); err != nil {
			return err
		}
	}
	return nil
}

// findIssuers provisions the issuers. It takes the audience of the first one as the default.
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
