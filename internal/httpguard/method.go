package httpguard

import (
	"net/http"
	"strings"
)

// methodOverrides are header fields that have some upstreams take another method for the request's.
var methodOverrides = []string{"X-Http-Method", "X-Http-Method-Override", "X-Method-Override"}

// UpstreamMethod is the method that an upstream gets to see of r: its own, but GET for a WebSocket
// over HTTP/2 or HTTP/3 (RFC 8441, RFC 9220), which a proxy sends on as HTTP/1.1 has it. The reason
// says why an upstream may take the request for one with another method, "" when it may not; such a
// request is to be refused where its method is judged. Refused are
//
//   - a method that is not in upper case, for some compare methods without regard to case;
//   - every other CONNECT, which asks for a tunnel;
//   - header fields that override the method.
func UpstreamMethod(r *http.Request) (method, reason string) {
	switch {
	case r.Method != strings.ToUpper(r.Method):
		return "", "the method is not in upper case"
	case r.Method == http.MethodConnect && !isExtendedConnect(r):
		return "", "the method asks for a tunnel"
	}
	for field := range r.Header {
		if foldsToAny(field, methodOverrides) {
			return "", "a header field overrides the method"
		}
	}
	if r.Method == http.MethodConnect {
		return http.MethodGet, ""
	}
	return r.Method, ""
}

// isExtendedConnect sees a WebSocket as net/http has it for HTTP/2 and quic-go for HTTP/3.
func isExtendedConnect(r *http.Request) bool {
	return r.ProtoMajor == 2 && r.Header.Get(":protocol") == websocket ||
		r.ProtoMajor == 3 && r.Proto == websocket
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

// FoldHost is a request's host as a host pattern has it: in lower case, without the port and
// without the dot of a fully qualified name.
func FoldHost(host string) string {
	if name, port, found := cutLast(host, ":"); found && !strings.Contains(port, "]") {
		host = name
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
