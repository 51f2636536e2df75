package caddymodule

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// caddyHost is the door.Host of Caddy.
type caddyHost struct{}

var _ door.Host = caddyHost{}

// AddLogFields implements httphost.Host.
func (caddyHost) AddLogFields(r *http.Request, fields ...zap.Field) { addLogFields(r, fields...) }

// ClientIP implements httphost.Host. A trusted proxy may have sent the address.
func (caddyHost) ClientIP(r *http.Request) string {
	text, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if !ok {
		text, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return ""
	}
	address = address.Unmap().WithZone("")
	var room [len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")]byte
	if canonical := address.AppendTo(room[:0]); string(canonical) != text {
		return string(canonical)
	}
	return text
}

// TrustedProxy implements httphost.Host. The peer is one of the server's trusted_proxies.
func (caddyHost) TrustedProxy(r *http.Request) bool {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}

// Received implements door.Host.
func (caddyHost) Received(r *http.Request) (method string, u *url.URL) {
	received, _ := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	return received.Method, received.URL
}

// Error implements door.Host.
func (caddyHost) Error(status int, err error) error { return caddyhttp.Error(status, err) }

// HasErrorRoute implements door.Host. The body is {http.m2m.error}.
func (caddyHost) HasErrorRoute(r *http.Request, err error, body []byte) bool {
	if !hasErrorRoute(r, err) {
		return false
	}
	r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("http.m2m.error", string(body))
	return true
}

// Metrics implements door.Host.
func (caddyHost) Metrics(issuer string) *metrics.Door {
	module, err := caddy.ActiveContext().AppIfConfigured("m2m")
	if err != nil {
		return nil
	}
	return module.(*App).metrics.Door(issuer)
}

// claimPlaceholder is the prefix of the placeholders that hold claims.
const claimPlaceholder = "http.auth.user.claims."

// SetUser implements door.Host. It sets the placeholders of Caddy's own authentication. A claim that the token does not
// have is empty, because Caddy does not replace unknown placeholders.
func (caddyHost) SetUser(r *http.Request, claims *token.Claims) {
	maskUser(r, claims.Subject)
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return
	}
	repl.Set("http.auth.user.id", boxed(claims, "sub", claims.Subject))
	repl.Set("http.auth.user.client_id", boxed(claims, "client_id", claims.ClientID))
	repl.Set("http.auth.user.scope", boxed(claims, "scope", claims.Scope))
	repl.Set("http.auth.user.jti", boxed(claims, "jti", claims.ID))
	repl.Set("http.auth.user.issuer", boxed(claims, "iss", claims.Issuer))
	repl.Map(func(key string) (any, bool) {
		name, found := strings.CutPrefix(key, claimPlaceholder)
		if !found {
			return nil, false
		}
		return door.ClaimText(claims.Get(name)), true
	})
}

// boxed returns the text as an any. It is that of the claim with this name if they are equal, which saves an allocation.
func boxed(claims *token.Claims, name, text string) any {
	claim := claims.All[name]
	if same, ok := claim.(string); ok && same == text {
		return claim
	}
	return text
}

// hasErrorRoute reports whether the server has a route (handle_errors) that answers err. Without one, Caddy answers with
// an empty body.
func hasErrorRoute(r *http.Request, err error) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Errors == nil {
		return false
	}
	// WithError sets the placeholders that matchers of error routes read.
	return anyRouteAnswers(server.Errors.Routes, server.Errors.WithError(r, err))
}

func anyRouteAnswers(routes caddyhttp.RouteList, r *http.Request) bool {
	for _, route := range routes {
		if matches, err := route.MatcherSets.AnyMatchWithError(r); (matches || err != nil) && answers(route, r) {
			return true
		}
	}
	return false
}

// answers also searches subroutes, because a handle_errors of a Caddyfile is a subroute.
func answers(route caddyhttp.Route, r *http.Request) bool {
	for _, handler := range route.Handlers {
		subroute, ok := handler.(*caddyhttp.Subroute)
		if !ok || anyRouteAnswers(subroute.Routes, r) {
			return true
		}
	}
	return false
}
