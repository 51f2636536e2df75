package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// hasErrorRoute reports whether the server has a route (handle_errors) that would answer err. Only
// then is a body better left to it: without one Caddy answers errors with an empty body.
func hasErrorRoute(r *http.Request, err error) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Errors == nil {
		return false
	}
	// matchers of error routes look at the placeholders that this sets
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

// answers looks into subroutes, which is what the Caddyfile makes of a site's handle_errors.
func answers(route caddyhttp.Route, r *http.Request) bool {
	for _, handler := range route.Handlers {
		subroute, ok := handler.(*caddyhttp.Subroute)
		if !ok || anyRouteAnswers(subroute.Routes, r) {
			return true
		}
	}
	return false
}
