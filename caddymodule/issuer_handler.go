package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
)

// IssuerHandler is the directive m2m_issuer. It serves the routes of one issuer by their exact paths. It passes other
// requests to the next handler. A request that was clearly meant for the issuer, such as POST /oauth2/token/ or GET
// /.well-known/jwks.json, and that no other handler answers, is 404 with a hint.
//
//	POST /oauth2/token                               RFC 6749 §4.4
//	GET  /oauth2/jwks                                RFC 7517
//	POST /oauth2/introspect                          RFC 7662, RFC 9701
//	POST /oauth2/revoke                              RFC 7009
//	GET  /oauth2/revocations                         what is revoked, for m2m_auth on other servers
//	GET  /.well-known/openid-configuration           OpenID Connect Discovery, below the issuer's path
//	GET  /.well-known/oauth-authorization-server     RFC 8414, above the issuer's path
type IssuerHandler struct {
	// Issuer is the URL of an issuer of the m2m app. Placeholders: {env.*} and {file.*}.
	// Default: the app's only issuer.
	Issuer string `json:"issuer,omitempty"`

	// Position is the file and the line of the Caddyfile, such as Caddyfile:12. The Caddyfile adapter sets it. Warnings about
	// the config name it; nothing else uses it. Default: none.
	Position string `json:"position,omitempty"`

	routes map[string]http.HandlerFunc
	hints  issuer.Hints
	logs   accessLogs
}

// CaddyModule returns the ID and the constructor of the handler.
func (*IssuerHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.m2m_issuer", New: func() caddy.Module { return new(IssuerHandler) }}
}

// Provision finds the issuer. It fails if the app has no issuer with that URL.
func (h *IssuerHandler) Provision(ctx caddy.Context) error {
	if err := replaceAll(caddy.NewReplacer(), &h.Issuer); err != nil {
		return err
	}
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	found, err := app.issuer(h.Issuer)
	if err != nil {
		return err
	}
	h.Issuer, h.routes, h.hints = found.URL, found.server.Routes(), found.server.Hints()
	h.logs = newAccessLogs(ctx)
	return nil
}

// ServeHTTP serves the issuer's routes. It answers errors itself, because OAuth clients could not read the answers of
// handle_errors.
func (h *IssuerHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return h.logs.serve(w, r, func(w http.ResponseWriter, r *http.Request) error {
		serve, ok := h.routes[r.URL.Path]
		if !ok {
			return h.miss(w, r, next)
		}
		httpguard.BoundBody(w, r)
		serve(w, r)
		return nil
	})
}

// hintVar names the variable of a request that says whether an issuer before gives a better hint.
const hintVar = "m2m.hint"

// miss passes on a request that is not for a route of the issuer, or answers it with a hint.
func (h *IssuerHandler) miss(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	hint := h.hints.Find(r.URL.Path)
	if hinted, _ := caddyhttp.GetVar(r.Context(), hintVar).(bool); hint == nil || hinted && !hint.Certain {
		return next.ServeHTTP(w, r)
	}
	if !hint.Certain {
		caddyhttp.SetVar(r.Context(), hintVar, hint.Own)
		answered, err := hint.IsAnswered(w, func(w http.ResponseWriter) error { return orNothing(r, next.ServeHTTP(w, r)) })
		if answered {
			return err
		}
	}
	httpguard.BoundBody(w, r)
	hint.Write(w)
	return nil
}

// orNothing returns an error of a handler, nil if Caddy would answer it with an empty 404.
func orNothing(r *http.Request, err error) error {
	var failed caddyhttp.HandlerError
	if errors.As(err, &failed) && failed.StatusCode == http.StatusNotFound && !hasErrorRoute(r, err) {
		return nil
	}
	return err
}

var (
	_ caddy.Provisioner           = (*IssuerHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*IssuerHandler)(nil)
)
