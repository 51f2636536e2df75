package httpguard

import (
	"net/http"
	"testing"
)

func TestUpstreamMethod(t *testing.T) {
	for name, test := range map[string]struct {
		method, proto string
		major         int
		header        http.Header
		want          string // "" is refused
	}{
		"GET":                           {method: "GET", want: "GET"},
		"an extension":                  {method: "M-SEARCH", want: "M-SEARCH"},
		"lower case":                    {method: "delete"},
		"mixed case":                    {method: "Get"},
		"CONNECT":                       {method: "CONNECT", major: 1},
		"CONNECT over HTTP/2":           {method: "CONNECT", major: 2},
		"WebSocket over HTTP/2":         {method: "CONNECT", major: 2, header: http.Header{":protocol": {"websocket"}}, want: "GET"},
		"another protocol over HTTP/2":  {method: "CONNECT", major: 2, header: http.Header{":protocol": {"connect-udp"}}},
		"its header over HTTP/1.1":      {method: "CONNECT", major: 1, header: http.Header{":protocol": {"websocket"}}},
		"WebSocket over HTTP/3":         {method: "CONNECT", major: 3, proto: "websocket", want: "GET"},
		"another protocol over HTTP/3":  {method: "CONNECT", major: 3, proto: "connect-udp"},
		"override":                      {method: "POST", header: http.Header{"X-Http-Method-Override": {"DELETE"}}},
		"override in another spelling":  {method: "POST", header: http.Header{"X_http-Method": {"DELETE"}}},
		"a field that sounds like that": {method: "POST", header: http.Header{"X-Http-Methods": {"DELETE"}}, want: "POST"},
	} {
		r := &http.Request{Method: test.method, ProtoMajor: test.major, Proto: test.proto, Header: test.header}
		got, reason := UpstreamMethod(r)
		if got != test.want || (reason == "") != (test.want != "") {
			t.Errorf("%s: %q, %q", name, got, reason)
		}
	}
}

func TestDropUpgrades(t *testing.T) {
	for upgrade, kept := range map[string]bool{"websocket": true, "WebSocket": true, "h2c": false, "websocket, h2c": false, "TLS/1.0": false, "": false} {
		h := http.Header{"Connection": {"Upgrade"}, "Upgrade": {upgrade}, "Http2-Settings": {"AAMAAABkAARAAAAAAAIAAAAA"}}
		DropUpgrades(h)
		if _, has := h["Upgrade"]; has != kept {
			t.Errorf("%q is kept: %t", upgrade, has)
		}
		if _, has := h["Http2-Settings"]; has != kept {
			t.Errorf("the settings for %q are kept: %t", upgrade, has)
		}
	}
	two := http.Header{"Upgrade": {"websocket", "h2c"}}
	DropUpgrades(two)
	if len(two) != 0 {
		t.Errorf("of two fields there is left %v", two)
	}
}

func TestFoldHost(t *testing.T) {
	for host, want := range map[string]string{
		"api.example.com": "api.example.com", "API.Example.com:8443": "api.example.com", "api.example.com.": "api.example.com",
		"api.example.com.:80": "api.example.com", "[::1]:80": "[::1]", "[::1]": "[::1]", "": "",
	} {
		if got := FoldHost(host); got != want {
			t.Errorf("%q is %q, want %q", host, got, want)
		}
	}
}
