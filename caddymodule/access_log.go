package caddymodule

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// addLogFields adds fields to the request's access log line.
func addLogFields(r *http.Request, fields ...zap.Field) {
	extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	for _, field := range fields {
		extra.Set(field)
	}
}

// credentialParameters are what clients put into a URL where RFC 6749 (§2.3.1) and RFC 6750 (§2.3)
// say that it does not belong.
var credentialParameters = []string{"access_token", "assertion", "client_assertion", "client_secret", "password", "token"}

// hideCredentials keeps a refused request out of the access log, which shows whole URIs, when there
// may be credentials in its query.
func hideCredentials(r *http.Request) {
	if r.URL.RawQuery == "" {
		return
	}
	query, err := url.ParseQuery(strings.ToLower(r.URL.RawQuery))
	hide := err != nil
	for _, name := range credentialParameters {
		hide = hide || query.Has(name)
	}
	if hide {
		caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	}
}
