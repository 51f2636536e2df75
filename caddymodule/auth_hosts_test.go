package caddymodule_test

import (
	"net/http"
	"testing"
)

// TestNoHostStepsAroundARule: beside a wide rule, the strict rule of a host also applies to hosts that an upstream could read
// as that one.
func TestNoHostStepsAroundARule(t *testing.T) {
	d := newDoorExpecting(t, "", "require admin.local/{rest...} admin:*:use\nrequire [2001:db8::1]/{rest...} admin:*:use\nrequire /{rest...} book:*:read")
	token := d.token("book:*:read")
	for _, c := range []struct {
		lines  string // the request line, and Host if it has one
		status int
		reason string
	}{
		{"GET /x HTTP/1.1\r\nHost: public.local", 200, ""},
		{"GET /x HTTP/1.1\r\nHost: public.local.:8443", 200, ""},
		{"GET /x HTTP/1.1\r\nHost: 127.0.0.1", 200, ""},
		{"GET /x HTTP/1.1\r\nHost: [::1]:80", 200, ""},
		{"GET http://public.local/x HTTP/1.1\r\nHost: admin.local", 200, ""}, // goes on with Host: public.local
		{"GET http://admin.local/x HTTP/1.1\r\nHost: public.local", 403, "insufficient_scope"},
		{"GET /x HTTP/1.1\r\nHost: admin.local", 403, "insufficient_scope"},
		{"GET /x HTTP/1.1\r\nHost: ADMIN.local.:80", 403, "insufficient_scope"},
		{"GET /x HTTP/1.1\r\nHost: [2001:DB8:0::1]", 403, "insufficient_scope"},
		{"GET /x HTTP/1.1\r\nHost: admin.local..", 400, "ambiguous_host"},
		{"GET /x HTTP/1.1\r\nHost: [admin.local]", 400, "ambiguous_host"},
		{"GET /x HTTP/1.1\r\nHost: admin.local,x", 400, "ambiguous_host"},
		{"GET /x HTTP/1.1\r\nHost: admin%2elocal", 400, "ambiguous_host"},
		{"GET /x HTTP/1.1\r\nHost: admin.local;x", 400, "ambiguous_host"},
		{"GET /x HTTP/1.1\r\nHost: admin.local:", 400, "ambiguous_host"},
		{"GET /x HTTP/1.1\r\nHost: admin.local:80:80", 400, "ambiguous_host"},
		{"GET /x HTTP/1.1\r\nHost: admin.local:+80", 400, "ambiguous_host"},
		{"GET /x HTTP/1.1\r\nHost: 0x7f.1", 400, "ambiguous_host"},
		{"GET /x HTTP/1.1\r\nHost: [::1%25lo]", 400, "ambiguous_host"},
		{"GET /x HTTP/1.1\r\nHost: xn--admin-.local", 400, "ambiguous_host"},
		{"GET /x HTTP/1.0", 400, "ambiguous_host"},
		{"GET http://admin.local../x HTTP/1.1\r\nHost: public.local", 400, "ambiguous_host"},
		{"GET http://user@admin.local/x HTTP/1.1\r\nHost: public.local", 400, "ambiguous_host"},
		// answers of net/http and of Caddy
		{"GET /x HTTP/1.1\r\nHost: ", 400, ""},
		{"GET /x HTTP/1.1\r\nHost: user@admin.local", 400, ""},
		{"GET /x HTTP/1.1", 400, ""},
		{"GET /x HTTP/1.1\r\nHost: a\r\nHost: admin.local", 400, ""},
		{"GET /x HTTP/1.1\r\nHost: admin.local/", 400, ""},
		{"GET /x HTTP/1.1\r\nHost: admin.local?", 400, ""},
		{"GET /x HTTP/1.1\r\nHost: admin local", 400, ""},
		{"GET /x HTTP/1.1\r\nHost: admin\xe3\x80\x82local", 400, ""},
	} {
		got := d.askRaw(c.lines + "\r\nConnection: close\r\nAuthorization: Bearer " + token + "\r\n\r\n")
		if got.status != c.status || got.reason() != c.reason {
			t.Errorf("%q: %d %s, want %d %s", c.lines, got.status, got.body, c.status, c.reason)
		}
		for _, seen := range d.upstream.taken() {
			if c.status != 200 || seen.Host == "admin.local" {
				t.Errorf("%q reaches the upstream as %s", c.lines, seen.Host)
			}
		}
	}
	if got := d.askRaw("GET /x HTTP/1.1\r\nHost: admin.local..\r\nConnection: close\r\n\r\n"); got.status != http.StatusBadRequest || got.reason() != "ambiguous_host" {
		t.Errorf("without a token: %d %s", got.status, got.body)
	}
	d.wantHostsOverHTTP2(token)
}

// wantHostsOverHTTP2: a Host field beside :authority must name the same host (RFC 9113 §8.3.1).
func (d *door) wantHostsOverHTTP2(token string) {
	for _, c := range []struct {
		fields []string
		status int
		reason string
	}{
		{[]string{":authority", "public.local"}, 200, ""},
		{[]string{":authority", "public.local", "host", "public.local"}, 200, ""},
		// net/http resets these streams; httpguard would refuse them
		{[]string{":authority", "public.local", "host", "admin.local"}, 0, ""},
		{[]string{":authority", "public.local", "host", "public.local", "host", "admin.local"}, 0, ""},
		{[]string{":authority", "admin.local.."}, 400, "ambiguous_host"},
		{[]string{"host", "admin.local"}, 403, "insufficient_scope"},
	} {
		fields := append([]string{":method", "GET", ":scheme", "http", ":path", "/x"}, c.fields...)
		got := d.askHTTP2(append(fields, "authorization", "Bearer "+token))
		if got.status != c.status || got.reason() != c.reason {
			d.t.Errorf("%v: %d %s, want %d %s", c.fields, got.status, got.body, c.status, c.reason)
		}
		d.upstream.taken()
	}
}
