// Package httphost states what the handlers of this program ask of the web server that runs them. Package
// caddymodule implements Host for Caddy. The package imports no other of this module.
package httphost

import (
	"net/http"

	"go.uber.org/zap"
)

// Host is the web server that runs a handler.
type Host interface {
	// AddLogFields adds fields to the access log line of a request, with credentials masked.
	AddLogFields(r *http.Request, fields ...zap.Field)
	// ClientIP returns the address of the connection, or the one that trusted proxies name. It is "" if it is not
	// an address. IPv4 within IPv6 is IPv4, and there is no zone, so that networks compare.
	ClientIP(r *http.Request) string
	// TrustedProxy reports whether the peer of the connection is a proxy that the operator trusts with headers about the
	// client.
	TrustedProxy(r *http.Request) bool
}
