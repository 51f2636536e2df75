package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// TestClientIP: the address is in its canonical form, or "" if it is not an address.
func TestClientIP(t *testing.T) {
	for _, c := range []struct{ said, connection, want string }{
		{"", "192.0.2.7:1234", "192.0.2.7"},
		{"", "[2001:DB8::0:7]:1234", "2001:db8::7"},
		{"", "[::ffff:192.0.2.7]:1234", "192.0.2.7"},
		{"", "[fe80::1%eth0]:1234", "fe80::1"},
		{"", "[::ffff:192.0.2.7%eth0]:1234", "192.0.2.7"},
		{"", "@", ""},
		{"", "", ""},
		{"", "192.0.2.7", ""},
		{"", "localhost:80", ""},
		{"::ffff:192.0.2.7", "198.51.100.1:1234", "192.0.2.7"},
		{"fe80::1%eth0", "198.51.100.1:1234", "fe80::1"},
		{"@", "198.51.100.1:1234", ""},
		{"192.0.2.0/24", "198.51.100.1:1234", ""},
		{"none", "198.51.100.1:1234", ""},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr = c.connection
		if c.said != "" {
			vars := map[string]any{caddyhttp.ClientIPVarKey: c.said}
			r = r.WithContext(context.WithValue(r.Context(), caddyhttp.VarsCtxKey, vars))
		}
		if got := (caddyHost{}).ClientIP(r); got != c.want {
			t.Errorf("%q of a connection from %q: %q, want %q", c.said, c.connection, got, c.want)
		}
	}
}
