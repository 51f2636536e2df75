package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
)

// IssuerHandler is the directive m2m_issuer. It serves the routes of one issuer by their exact paths. It passes other
// requests to the next handler.
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
	issuer, err := app.issuer(h.Issuer)
	if err != nil {
		return err
	}
	h.Issuer, h.routes = issuer.URL, issuer.server.Routes()
	h.logs = newAccessLogs(ctx)
	return nil
}

// ServeHTTP serves the issuer's routes. It answers errors itself, because OAuth clients could not read the answers of
// handle_errors.
func (h *IssuerHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return h.logs.serve(w, r, func(w http.ResponseWriter, r *http.Request) error {
		serve, ok := h.routes[r.URL.Path]
		if !ok {
			return next.ServeHTTP(w, r)
		}
		httpguard.BoundBody(w, r)
		serve(w, r)
		return nil
	})
}

var (
	_ caddy.Provisioner           = (*IssuerHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*IssuerHandler)(nil)
)
