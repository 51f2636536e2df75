package fetch

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

// IsLoopback reports whether a host is this machine's own: an IP address on the loopback network, localhost, or a name below
// localhost (RFC 6761 §6.3). Requests to such a name must use a [Transport], because a resolver or a proxy may not know it.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") || isBelowLocalhost(host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func isBelowLocalhost(host string) bool {
	const suffix = ".localhost"
	name := len(host) - len(suffix)
	return name > 0 && strings.EqualFold(host[name:], suffix) && host[name-1] != '.'
}

// Transport returns a transport that sends requests for names below localhost to the loopback address, without a proxy and
// without asking a resolver: plain http is allowed there. Other requests go to base, or to http.DefaultTransport if base is
// nil.
func Transport(base http.RoundTripper) http.RoundTripper {
	switch base.(type) {
	case transport, Layer:
		return base
	}
	return transport{base}
}

// A Layer is a RoundTripper on top of a [Transport]. It sees also requests for names below localhost.
type Layer interface{ OnTransport() }

type transport struct{ base http.RoundTripper }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	// a base has settings for TLS, which plain http does not need
	if isBelowLocalhost(r.URL.Hostname()) && (t.base == nil || r.URL.Scheme == "http") {
		return toLoopback().RoundTrip(r)
	}
	if t.base == nil {
		return http.DefaultTransport.RoundTrip(r)
	}
	return t.base.RoundTrip(r)
}

// CloseIdleConnections closes those of the base, as http.Client.CloseIdleConnections expects.
func (t transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

var toLoopback = sync.OnceValue(func() *http.Transport {
	t := &http.Transport{ForceAttemptHTTP2: true}
	if d, ok := http.DefaultTransport.(*http.Transport); ok {
		t = d.Clone()
	}
	t.Proxy, t.DialContext = nil, dialLoopback
	return t
})

func dialLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	if err == nil {
		return conn, nil
	}
	if conn, err6 := dialer.DialContext(ctx, network, net.JoinHostPort("::1", port)); err6 == nil {
		return conn, nil
	}
	return nil, err
}
