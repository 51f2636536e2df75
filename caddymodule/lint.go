package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/lint"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// position returns the file and the line of the current token, for fields named Position.
func position(d *caddyfile.Dispenser) string { return fmt.Sprintf("%s:%d", d.File(), d.Line()) }

// validated reports whether the app's context ended because the config is valid and was not to be started, as under
// `caddy validate`. Caddy tells it by the cause alone.
func (a *App) validated() bool {
	if a.ctx.Context == nil { // not provisioned
		return false
	}
	cause := context.Cause(a.ctx)
	return cause != nil && cause.Error() == "validation complete"
}

// maxWarnings keeps one fault, such as an empty registry file, from filling the log.
const maxWarnings = 20

// lint warns of what is valid in the whole config and does not work. All apps must be provisioned.
func (a *App) lint() {
	config := &lint.Config{}
	for _, issuer := range a.Issuers {
		config.Issuers = append(config.Issuers, issuer.lintModel(a.ctx))
	}
	if app, err := a.ctx.AppIfConfigured("http"); err == nil {
		servers := app.(*caddyhttp.App).Servers
		for _, name := range slices.Sorted(maps.Keys(servers)) {
			config.Servers = append(config.Servers, lintRoutes(servers[name].Routes, servers[name].NamedRoutes))
			config.ClientAuth = append(config.ClientAuth, asksForCertificates(servers[name].TLSConnPolicies))
		}
	}
	findings := lint.Check(config)
	for n, finding := range findings {
		if n == maxWarnings {
			a.logger.Warn("the config has more problems", zap.Int("count", len(findings)-n))
			break
		}
		where := zap.Skip()
		if finding.Position != "" {
			where = zap.String("position", finding.Position)
		}
		a.logger.Warn("the config has a problem", where, zap.String("problem", finding.Problem))
	}
}

func (i *Issuer) lintModel(ctx context.Context) *lint.Issuer {
	base, _ := url.Parse(i.URL) // it is checked
	model := &lint.Issuer{
		URL: i.URL, Position: i.Position, Audience: i.Audience, TokenPath: base.Path + oauth.TokenPath, JWKSPath: base.Path + oauth.JWKSPath,
		Resources: make(map[string]lint.Resource), Trusted: make(map[string]string),
		MTLSURL: i.MTLSEndpointAliases, CertificatesFromProxy: i.ClientCertificateHeader != "",
	}
	for _, t := range i.Trust {
		model.Trusted[t.URL] = cmp.Or(t.Type, registry.TypeJWT)
	}
	openID, server := oauth.WellKnownPaths(i.URL)
	model.MetadataPaths = []string{openID, server}
	if i.Registry == nil || i.Registry.Path == "" { // resources in storage come and go by commands
		return model
	}
	resources, err := i.server.Registry.Resources(ctx)
	if err != nil {
		return model
	}
	for _, r := range resources {
		model.Resources[r.Code] = lint.Resource{Audience: r.Audience, Actions: slices.Collect(maps.Keys(r.Actions))}
	}
	model.Identities = i.lintIdentities(ctx)
	return model
}

// lintIdentities returns the identities of the clients of a registry file.
func (i *Issuer) lintIdentities(ctx context.Context) (all []lint.Identity) {
	ids, err := i.server.Registry.ClientIDs(ctx, "", "", 0)
	if err != nil {
		return nil
	}
	for _, id := range ids {
		client, err := i.server.Registry.Client(ctx, id)
		if err != nil {
			continue
		}
		for _, identity := range client.Identities { // a finding is reported once
			all = append(all, lint.Identity{Client: id, Issuer: identity.Issuer, Type: cmp.Or(identity.Type, registry.TypeJWT)})
		}
	}
	return all
}

func (h *AuthHandler) lintModel() *lint.Door {
	model := &lint.Door{
		Position: h.Position, Resource: h.Audience[0], MetadataURL: h.door.MetadataURL(),
		KeepToken: h.KeepToken, Answers: h.ForwardAuth != "",
		NeedsCertificate: h.ForwardAuth == "" && h.ClientCertificateHeader == "" && slices.Equal(h.Bound, []string{"mtls"}),
	}
	for _, t := range h.trusted {
		model.Issuers = append(model.Issuers, lint.DoorIssuer{URL: t.URL, Audience: t.Audience})
	}
	for _, r := range h.Require {
		model.Require = append(model.Require, lint.Requirement{Position: r.Position, Method: r.Method, Path: r.Path, Scopes: r.Scopes})
	}
	for _, p := range h.Public {
		model.Public = append(model.Public, lint.Requirement{Position: p.Position, Method: p.Method, Path: p.Path})
	}
	return model
}

// asksForCertificates reports whether connections by one of the policies ask for a client certificate. Which hosts they are for is
// not known any more once they are provisioned.
func asksForCertificates(policies caddytls.ConnectionPolicies) bool {
	return slices.ContainsFunc(policies, func(p *caddytls.ConnectionPolicy) bool {
		return p.ClientAuthentication != nil && p.ClientAuthentication.Active()
	})
}

func lintRoutes(routes caddyhttp.RouteList, named map[string]*caddyhttp.Route) []*lint.Route {
	models := make([]*lint.Route, len(routes))
	for n := range routes {
		models[n] = lintRoute(&routes[n], named)
	}
	return models
}

func lintRoute(route *caddyhttp.Route, named map[string]*caddyhttp.Route) *lint.Route {
	model := &lint.Route{Group: route.Group, Terminal: route.Terminal}
	for _, set := range route.MatcherSets {
		model.Matchers = append(model.Matchers, lintMatcher(set))
	}
	for _, handler := range route.Handlers {
		model.Handlers = append(model.Handlers, lintHandler(handler, named))
	}
	return model
}

func lintMatcher(set caddyhttp.MatcherSet) lint.Matcher {
	model := lint.Matcher{}
	var others []string
	for _, matcher := range set {
		if not, ok := matcher.(*caddyhttp.MatchNot); ok {
			model.NotPaths = append(model.NotPaths, excludedPaths(not)...)
		}
		switch m := matcher.(type) {
		case *caddyhttp.MatchHost:
			model.Hosts = *m
		case caddyhttp.MatchHost:
			model.Hosts = m
		case *caddyhttp.MatchPath:
			model.Paths = *m
		case caddyhttp.MatchPath:
			model.Paths = m
		default:
			config, err := json.Marshal(m)
			if err != nil {
				config = fmt.Appendf(nil, "%p", m)
			}
			others = append(others, fmt.Sprintf("%T %s", m, config))
		}
	}
	slices.Sort(others)
	model.Other = strings.Join(others, "\n")
	return model
}

// excludedPaths returns the paths that a matcher excludes, whatever else a request has.
func excludedPaths(not *caddyhttp.MatchNot) (paths []string) {
	for _, set := range not.MatcherSets {
		if excluded := lintMatcher(set); excluded.Hosts == nil && excluded.Other == "" {
			paths = append(paths, excluded.Paths...)
		}
	}
	return paths
}

// directives maps the names of Caddy's handlers to those of a Caddyfile, where they differ.
var directives = map[string]string{"static_response": "respond", "subroute": "handle", "headers": "header"}

// passive are handlers of Caddy that never answer a request, and do not change its path.
var passive = []string{
	"authentication", "encode", "headers", "intercept", "log_append", "map", "push", "request_body", "templates", "timeouts", "tracing", "vars",
}

// clientPlaceholder is a placeholder that m2m_auth sets, and that Caddy's own authentication does not.
var clientPlaceholder = regexp.MustCompile(`\{http\.auth\.user\.(?:client_id|scope|jti|issuer|claims\.[^{}]+)\}`)

// readsLater are handlers that read placeholders after the next handler, or when another handler asks.
var readsLater = []string{"encode", "intercept", "invoke", "log_append", "map", "subroute", "templates"}

// readsClient returns the placeholder of m2m_auth that a handler reads before it calls the next one, "" if it reads none.
func readsClient(name string, handler caddyhttp.MiddlewareHandler) string {
	if slices.Contains(readsLater, name) {
		return ""
	}
	if h, ok := handler.(*headers.Handler); ok && h.Response != nil && h.Response.Deferred {
		handler = &headers.Handler{Request: h.Request}
	}
	config, err := json.Marshal(handler)
	if err != nil {
		return ""
	}
	return string(clientPlaceholder.Find(config))
}

func lintHandler(handler caddyhttp.MiddlewareHandler, named map[string]*caddyhttp.Route) *lint.Handler {
	name := handler.(caddy.Module).CaddyModule().ID.Name()
	model := &lint.Handler{Name: name, Passive: slices.Contains(passive, name), Reads: readsClient(name, handler)}
	if directive, ok := directives[name]; ok {
		model.Name = directive
	}
	switch h := handler.(type) {
	case *caddyhttp.Subroute:
		model.Routes = lintRoutes(h.Routes, named)
	case *caddyhttp.Invoke:
		if route, ok := named[h.Name]; ok {
			model.Routes = []*lint.Route{lintRoute(route, named)}
		}
	case *rewrite.Rewrite:
		onlyStrips := h.StripPathPrefix != "" && h.URI == "" && h.StripPathSuffix == "" && h.URISubstring == nil && h.PathRegexp == nil
		if model.Passive, model.Rewrites = true, !onlyStrips; onlyStrips {
			model.StripPrefix = "/" + strings.TrimPrefix(h.StripPathPrefix, "/")
		}
	case *fileserver.FileServer:
		model.Ends = !h.PassThru
	case *reverseproxy.Handler:
		model.Ends = len(h.HandleResponse) == 0
	case *caddyhttp.StaticResponse, *caddyhttp.StaticError, *ReadyHandler:
		model.Ends = true
	case *ResourceMetadataHandler:
		model.Metadata = &lint.MetadataHandler{Audience: h.Audience, Position: h.Position}
	case *IssuerHandler:
		model.Issuer = &lint.IssuerHandler{URL: h.Issuer, Position: h.Position}
	case *AuthHandler:
		model.Door = h.lintModel()
	}
	return model
}
