package fetch

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// No resolver needs to know names below localhost, and a proxy must not see them.
func TestNamesBelowLocalhostAreLoopback(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Host)) }))
	defer server.Close()
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a proxy was asked") }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	for name, client := range map[string]*http.Client{"default": nil, "own": {Transport: new(http.Transport)}} {
		document, err := Get(t.Context(), client, Request{URL: "http://no.such.name.localhost" + port, MaxSize: 100})
		if err != nil || string(document.Body) != "no.such.name.localhost"+port {
			t.Errorf("%s: %v, %v", name, document, err)
		}
	}
}
