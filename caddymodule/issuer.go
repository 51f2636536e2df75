package caddymodule

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// metadataMaxAge is how long the discovery documents may be cached.
const metadataMaxAge = 5 * time.Minute

// IssuerHandler is the m2m_issuer directive: it serves the routes of one issuer, by their exact
// paths, and leaves every other request to the next handler.
//
//	POST /oauth2/token                               RFC 6749 §4.4
//	GET  /oauth2/jwks                                RFC 7517
//	POST /oauth2/introspect                          RFC 7662, RFC 9701
//	POST /oauth2/revoke                              RFC 7009
//	GET  /oauth2/revocations                         what is revoked, for doors elsewhere
//	GET  /.well-known/openid-configuration           OpenID Connect Discovery, below the issuer's path
//	GET  /.well-known/oauth-authorization-server     RFC 8414, above the issuer's path
type IssuerHandler struct {
	// Issuer is the URL of an issuer of the m2m app. Placeholders: {env.*} and {file.*}.
	// Default: the app's only one.
	Issuer string `json:"issuer,omitempty"`

	issuer *issuerServer
	routes map[string]http.HandlerFunc
	logs   accessLogs
}

// CaddyModule says how Caddy finds the handler.
func (*IssuerHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.m2m_issuer", New: func() caddy.Module { return new(IssuerHandler) }}
}

// Provision finds the issuer; it fails when the app has none of that URL.
func (h *IssuerHandler) Provision(ctx caddy.Context) error {
	if err := replaceAll(caddy.NewReplacer(), &h.Issuer); err != nil {
		return err
	}
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	if h.issuer, err = app.issuer(h.Issuer); err != nil {
		return err
	}
	h.routes = h.issuer.routes()
	h.logs = newAccessLogs(ctx)
	return nil
}

// ServeHTTP serves the issuer's routes. It answers OAuth errors itself, so that handle_errors
// cannot make them something that no OAuth client can read.
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

func (i *issuerServer) routes() map[string]http.HandlerFunc {
	base, _ := url.Parse(i.URL) // CheckIssuer has parsed it
	oidcPath, oauthPath := oauth.WellKnownPaths(i.URL)
	return map[string]http.HandlerFunc{
		base.Path + oauth.TokenPath:       i.serveToken,
		base.Path + oauth.JWKSPath:        i.serveJWKS,
		base.Path + oauth.IntrospectPath:  i.serveReference(i.metrics.Introspection, (*tokenReference).introspect),
		base.Path + oauth.RevokePath:      i.serveReference(i.metrics.Revocation, (*tokenReference).revoke),
		base.Path + oauth.RevocationsPath: i.feed.serve,
		base.Path + oauth.AuthorizePath:   i.serveAuthorize,
		oidcPath:                          i.serveMetadata(func(d *metadataDocuments) http.Handler { return d.openID }),
		oauthPath:                         i.serveMetadata(func(d *metadataDocuments) http.Handler { return d.oauth }),
	}
}

func (i *issuerServer) serveJWKS(w http.ResponseWriter, r *http.Request) {
	keys, err := i.keys.current(r.Context())
	if err != nil {
		i.logger.Debug("no keys to publish", zap.Error(err))
		oauth.Unavailable("the keys cannot be had now").Write(w)
		return
	}
	keys.jwks.ServeHTTP(w, r)
}

// serveAuthorize is truthful about the authorization_endpoint that OpenID Connect Discovery §3
// makes every provider name: nobody can be sent there, for no response type is supported.
func (i *issuerServer) serveAuthorize(w http.ResponseWriter, _ *http.Request) {
	oauth.UnsupportedResponseType().Write(w)
}

// documents holds an issuer's discovery documents, encoded once for each revision of its registry and each set of
// algorithms.
type documents struct {
	latest atomic.Pointer[metadataDocuments]
}

type metadataDocuments struct {
	revision      string
	algs          []string
	openID, oauth http.Handler
}

func (i *issuerServer) serveMetadata(choose func(*metadataDocuments) http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		docs, err := i.metadata(r.Context())
		if err != nil {
			i.logger.Debug("no metadata to publish", zap.Error(err))
			oauth.Unavailable("the metadata cannot be had now").Write(w)
			return
		}
		choose(docs).ServeHTTP(w, r)
	}
}

func (i *issuerServer) metadata(ctx context.Context) (*metadataDocuments, error) {
	revision := i.registry.Revision()
	keys, err := i.keys.current(ctx)
	if err != nil {
		return nil, err
	}
	if docs := i.documents.latest.Load(); docs != nil && docs.revision == revision && slices.Equal(docs.algs, keys.algs) {
		return docs, nil
	}
	scopes, err := i.scopesOf(ctx, "")
	if err != nil {
		return nil, err
	}
	// all of them, for tokens of a former signing_alg are valid until they end, and clients such as
	// go-oidc refuse algorithms that are not named here
	meta := oauth.NewServerMetadata(i.URL, scopes, keys.algs)
	docs := &metadataDocuments{
		revision: revision, algs: keys.algs,
		openID: oauth.NewJSONDocument(meta.OpenID(), metadataMaxAge),
		oauth:  oauth.NewJSONDocument(meta, metadataMaxAge),
	}
	i.documents.latest.Store(docs)
	return docs, nil
}

// scopesOf lists the scopes that the registry's resources have, one for each action, of every
// audience or of the one given.
func (i *issuerServer) scopesOf(ctx context.Context, audience string) ([]string, error) {
	resources, err := i.registry.Resources(ctx)
	if err != nil {
		return nil, err
	}
	var scopes []string
	for _, resource := range resources {
		if audience != "" && i.audienceOf(resource) != audience {
			continue
		}
		for action := range resource.Actions {
			scopes = append(scopes, resource.Code+":*:"+action)
		}
	}
	slices.Sort(scopes)
	return scopes, nil
}

var (
	_ caddy.Provisioner           = (*IssuerHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*IssuerHandler)(nil)
)
