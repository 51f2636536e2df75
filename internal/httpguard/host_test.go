package httpguard

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestAmbiguousHost(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, host := range []string{
		"admin.local", "ADMIN.local", "admin.local.", "admin.local:80", "admin.local.:65535", "localhost", "my_service:8080", "a-b.c_d", "-a.b",
		"127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:80", "[2001:DB8::1]", "xn--bcher-kva.example", "XN--BCHER-KVA.example", "xn--ls8h.la",
		"1.example", "0x7f.example", "4.example.", long + "." + long + "." + long + "." + long[:61],
	} {
		if reason := AmbiguousHost(&http.Request{Host: host, URL: &url.URL{Path: "/"}}); reason != "" {
			t.Errorf("%q is refused: %s", host, reason)
		}
	}
	for _, host := range []string{
		"", ".", "..", ":80", "admin.local..", ".admin.local", "admin..local", "[admin.local]", "admin.local,x", "admin%2elocal", "admin.local;x",
		"admin.local:", "admin.local:80:80", "admin.local:+80", "admin.local:0", "admin.local:65536", "admin.local:000080", "admin.local:8o",
		"user@admin.local", "admin.local/", "admin.local?", "admin.local#", `admin.local\`, "admin.local ", " admin.local", "admin\tlocal", "admin.local\x00",
		"admin。local", "ａdmin.local", "bücher.example", "xn--admin-.local", "xn--.local", "xn--a.local", "admin.*", "!admin.local", "admin.local'",
		"0x7f.1", "127.1", "127.0.0.1.", "127.0.0.01", "127.0.0.256", "2130706433", "0177.0.0.1", "a.0x", "a.0x1f", "1.2.3.4.5",
		"::1", "[::1", "::1]", "[::1]]", "[[::1]]", "[::1%25eth0]", "[fe80::1%eth0]", "[127.0.0.1]", "[::ffff:127.0.0.1]", "[::1]x", "[::1]:", "[::1]:80:80", "[]", "[v1.x]",
		long + "a", long + "." + long + "." + long + "." + long[:62],
	} {
		if AmbiguousHost(&http.Request{Host: host, URL: &url.URL{Path: "/"}}) == "" {
			t.Errorf("%q passes", host)
		}
	}
}

// TestTwoHosts: a request whose Host field differs from :authority is malformed (RFC 9113 §8.3.1).
func TestTwoHosts(t *testing.T) {
	for field, ok := range map[string]bool{"admin.local": true, "Admin.Local": true, "other.local": false, "admin.local:80": false, "": false} {
		r := &http.Request{Host: "admin.local", URL: &url.URL{Path: "/"}, Header: http.Header{"Host": {field}}}
		if reason := AmbiguousHost(r); (reason == "") != ok {
			t.Errorf("%q: %q", field, reason)
		}
	}
	if AmbiguousHost(&http.Request{Host: "admin.local", URL: &url.URL{Host: "admin.local", User: url.User("x")}}) == "" {
		t.Error("user information passes")
	}
}

func TestFoldHost(t *testing.T) {
	for host, want := range map[string]string{
		"api.example.com": "api.example.com", "API.Example.com:8443": "api.example.com", "api.example.com.": "api.example.com",
		"api.example.com.:80": "api.example.com", "[::1]:80": "[::1]", "[::1]": "[::1]", "": "",
		"[0:0:0:0:0:0:0:1]": "[::1]", "[2001:DB8:0::1]:80": "[2001:db8::1]",
	} {
		if got := FoldHost(host); got != want {
			t.Errorf("%q is %q, want %q", host, got, want)
		}
	}
}
