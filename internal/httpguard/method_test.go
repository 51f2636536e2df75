package httpguard

import (
	"net/http"
	"testing"
)

func TestUpstreamMethod(t *testing.T) {
	for want, r := range map[string]*http.Request{
		"M-SEARCH": {Method: "M-SEARCH"},
		"CONNECT":  {Method: "CONNECT", ProtoMajor: 2},
		"PUT":      {Method: "PUT", ProtoMajor: 3, Proto: "websocket"},
		"GET":      {Method: "CONNECT", ProtoMajor: 2, Header: http.Header{":protocol": {"websocket"}}},
	} {
		if got := UpstreamMethod(r); got != want {
			t.Errorf("%q, want %q", got, want)
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
