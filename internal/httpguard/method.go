package httpguard

import (
	"net/http"
	"slices"
	"strings"
)

// UpstreamMethod returns the method of r that an upstream gets. It is that of r, but GET for a WebSocket over HTTP/2 or HTTP/3
// (RFC 8441, RFC 9220), which a proxy forwards in the form of HTTP/1.1.
func UpstreamMethod(r *http.Request) string {
	if isExtendedConnect(r) {
		return http.MethodGet
	}
	return r.Method
}

// isExtendedConnect reports whether r asks for a WebSocket in the form of net/http for HTTP/2 or of quic-go for HTTP/3.
func isExtendedConnect(r *http.Request) bool {
	return r.Method == http.MethodConnect &&
		(r.ProtoMajor == 2 && r.Header.Get(":protocol") == websocket || r.ProtoMajor == 3 && r.Proto == websocket)
}

const websocket = "websocket"

// DropUpgrades deletes an upgrade of the connection to another protocol than WebSocket, which a server may always ignore (RFC
// 9110 §7.8). An upgrade to h2c would tunnel further requests that are not judged and whose headers are not stripped.
func DropUpgrades(h http.Header) {
	if Upgrades(h) {
		delete(h, "Upgrade")
		delete(h, "Http2-Settings")
	}
}

// Upgrades reports whether DropUpgrades deletes an upgrade.
func Upgrades(h http.Header) bool {
	return slices.ContainsFunc(h["Upgrade"], func(value string) bool { return !strings.EqualFold(strings.TrimSpace(value), websocket) })
}
