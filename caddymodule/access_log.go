package caddymodule

import (
	"net/http"
	"net/url"
	"slices"
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
// may be credentials in its query. Where there is an access log a line without the query stands in
// for it, for nobody should be able to ask unseen.
func hideCredentials(r *http.Request, logger *zap.Logger) {
	if r.URL.RawQuery == "" || !mayHaveCredentials(r.URL.RawQuery) {
		return
	}
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	if server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server.Logs != nil {
		logger.Info("refused request with credentials in its query, which is not shown", zap.String("method", r.Method),
			zap.String("host", r.Host), zap.String("path", r.URL.Path), zap.String("remote_ip", clientIP(r)))
	}
}

func mayHaveCredentials(rawQuery string) bool {
	query, err := url.ParseQuery(strings.ToLower(rawQuery))
	if err != nil {
		return true
	}
	return slices.ContainsFunc(credentialParameters, query.Has)
}
