package caddymodule

import (
	"net"
	"net/http"
	"net/netip"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/httphost"
)

// caddyHost is Caddy as the handlers see it.
type caddyHost struct{}

var _ httphost.Host = caddyHost{}

// AddLogFields implements httphost.Host.
func (caddyHost) AddLogFields(r *http.Request, fields ...zap.Field) { addLogFields(r, fields...) }

// ClientIP implements httphost.Host.
func (caddyHost) ClientIP(r *http.Request) string { return clientIP(r) }

// clientIP returns the address of the client in one form. Caddy's trusted proxies may name it.
func clientIP(r *http.Request) string {
	text, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if !ok {
		text, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return ""
	}
	return address.Unmap().WithZone("").String()
}
