package httpguard

import (
	"net/http"
	"strings"
)

// UpstreamMethod is the method that an upstream gets to see of r: its own, but GET for a WebSocket
// over HTTP/2 or HTTP/3 (RFC 8441, RFC 9220), which a proxy sends on as HTTP/1.1 has it.
func UpstreamMethod(r *http.Request) string {
	if isExtendedConnect(r) {
		return http.MethodGet
	}
	return r.Method
}

// isExtendedConnect sees a WebSocket as net/http has it for HTTP/2 and quic-go for HTTP/3.
func isExtendedConnect(r *http.Request) bool {
	return r.Method == http.MethodConnect &&
		(r.ProtoMajor == 2 && r.Header.Get(":protocol") == websocket || r.ProtoMajor == 3 && r.Proto == websocket)
}

const websocket = "websocket"

// DropUpgrades deletes what asks for another protocol than WebSocket on the connection, which a
// server may always ignore (RFC 9110 §7.8). An upgrade to h2c would make it a tunnel for further
// requests that nobody judges and whose headers nobody strips.
func DropUpgrades(h http.Header) {
	for _, value := range h["Upgrade"] {
		if !strings.EqualFold(strings.TrimSpace(value), websocket) {
			delete(h, "Upgrade")
			delete(h, "Http2-Settings")
			return
		}
	}
}
