package caddymodule

import (
	"net"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"
)

// loggerNames returns the names of the loggers to which Caddy logs a request. It follows code of Caddy that is not
// exported.
func loggerNames(config *caddyhttp.ServerLogConfig, r *http.Request) []string {
	if config == nil {
		return []string{""}
	}
	if chosen, ok := caddyhttp.GetVar(r.Context(), caddyhttp.AccessLoggerNameVarKey).([]any); ok { // the directive log_name
		var names []string
		for _, one := range chosen {
			name, _ := one.(string)
			names = append(names, name)
		}
		return names
	}
	host := strings.ToLower(hostOf(r.Host))
	if names, ok := config.LoggerNames[host]; ok {
		return names
	}
	labels := strings.Split(host, ".")
	for i := range labels {
		if labels[i] == "" {
			continue
		}
		labels[i] = "*"
		if names, ok := config.LoggerNames[strings.Join(labels, ".")]; ok {
			return names
		}
	}
	return []string{config.DefaultLoggerName}
}

// logsAccess reports whether Caddy logs requests for a host to the access log.
func logsAccess(config *caddyhttp.ServerLogConfig, host string) bool {
	if config == nil {
		return false
	}
	host = hostOf(host)
	for name := range config.LoggerNames {
		if certmagic.MatchWildcard(host, name) {
			return true
		}
	}
	for _, skipped := range config.SkipHosts {
		if certmagic.MatchWildcard(host, skipped) {
			return false
		}
	}
	return !config.SkipUnmappedHosts
}

// hostOf returns a host without its port.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}
