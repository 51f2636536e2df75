package caddymodule_test

import (
	"io"
	"net/http"
	"testing"
)

// TestNoRuleIsSteppedAround: beside a wide rule, a strict rule also applies to requests that Caddy or an upstream could
// read as its own.
func TestNoRuleIsSteppedAround(t *testing.T) {
	d := newDoor(t, `
		require /admin/{rest...} admin:*:use
		require admin.example.com/{rest...} admin:*:use
		require DELETE /books/{id} book:{id}:edit
		require /%53hop/%C3%96l admin:*:use
		require /report admin:*:use
		require /docs admin:*:use
		require /docs/ book:*:read
		require /{rest...} book:*:read
	`)
	for _, c := range []struct {
		method, target string
		fields         []string
		status         int
		reason         string
	}{
		{"GET", "/books/1", nil, 200, ""},
		{"GET", "/Books/1", nil, 200, ""}, // of the wide rule either way
		{"GET", "/admin/users", nil, 403, "insufficient_scope"},
		{"GET", "/ADMIN/users", nil, 400, "ambiguous_path"}, // handle_path /admin/* would serve it
		{"GET", "/Admin/users", nil, 400, "ambiguous_path"},
		{"GET", "/Shop/%C3%96l", nil, 403, "insufficient_scope"}, // by a pattern that is percent-encoded
		{"GET", "/shop/%C3%B6l", nil, 400, "ambiguous_path"},
		{"GET", "/SHOP/%C3%96L", nil, 400, "ambiguous_path"},
		{"GET", "/report", nil, 403, "insufficient_scope"},
		{"GET", "/report/", nil, 400, "ambiguous_path"}, // many upstreams serve it like /report
		{"GET", "/Report/", nil, 400, "ambiguous_path"},
		{"GET", "/%72eport/", nil, 400, "ambiguous_path"},
		{"DELETE", "/books/1/", nil, 400, "ambiguous_path"},
		{"GET", "/books/1/", nil, 200, ""},
		{"GET", "/admin", nil, 403, "no_rule"},
		{"GET", "/docs", nil, 403, "insufficient_scope"},
		{"GET", "/docs/", nil, 200, ""}, // has a rule of its own
		{"GET", "/docs/x/", nil, 200, ""},
		{"GET", "/users", []string{"Host", "admin.example.com"}, 403, "insufficient_scope"},
		{"GET", "/users", []string{"Host", "ADMIN.example.com"}, 403, "insufficient_scope"},
		{"GET", "/users", []string{"Host", "admin.example.com.:8443"}, 403, "insufficient_scope"},
		{"DELETE", "/books/1", nil, 403, "insufficient_scope"},
		{"delete", "/books/1", nil, 400, "ambiguous_method"},
		{"POST", "/books/1", nil, 200, ""},
		{"POST", "/books/1", []string{"X-HTTP-Method-Override", "DELETE"}, 400, "ambiguous_method"},
	} {
		got := d.ask(c.method, c.target, bearer(d.token("book:*:read"), c.fields...))
		if got.status != c.status || got.reason() != c.reason {
			t.Errorf("%s %s %v: %d %s, want %d %s", c.method, c.target, c.fields, got.status, got.body, c.status, c.reason)
		}
		if seen := d.upstream.taken(); (len(seen) > 0) != (c.status == 200) {
			t.Errorf("%s %s %v: the upstream was asked %d times", c.method, c.target, c.fields, len(seen))
		}
	}
}

// TestNoTunnelButWebSocket: after an upgrade to h2c, an upstream would accept further requests, with any header, on a
// connection that no door sees.
func TestNoTunnelButWebSocket(t *testing.T) {
	for name, subdirectives := range map[string]string{"without rules": "", "with rules": "require GET /books/{id} book:{id}:read"} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, subdirectives)
			d.upstream.answerWith(upgradeToAnything)
			for _, upgrade := range []string{"h2c", "websocket, h2c", "TLS/1.2"} {
				got := d.ask("GET", "/books/1", bearer(d.token("book:1:read"), "Connection", "Upgrade, HTTP2-Settings", "Upgrade", upgrade, "HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"))
				if got.status != http.StatusOK || got.body != "an answer" {
					t.Errorf("Upgrade: %s: %d %s", upgrade, got.status, got.body)
				}
			}
		})
	}
}

func upgradeToAnything(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" && r.Header.Get("HTTP2-Settings") == "" {
		_, _ = io.WriteString(w, "an answer")
		return
	}
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", r.Header.Get("Upgrade"))
	w.WriteHeader(http.StatusSwitchingProtocols)
}
