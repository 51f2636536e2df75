package caddymodule_test

import (
	"net/http"
	"testing"
)

// TestWebPagesCanReadPublicDocuments sends what a browser sends for a script of another origin: a request with Origin, and a
// preflight request before one with a header that a form could not have (Fetch Standard, CORS protocol).
func TestWebPagesCanReadPublicDocuments(t *testing.T) {
	w := startIssuer(t, issuerSettings{site: "m2m_auth\nrespond ok"})
	openID, server := wellKnown(w.url)
	const page = "https://app.example.com"
	for _, address := range []string{openID, server, w.url + "/oauth2/jwks", w.url + "/oauth2/revocations", w.url + "/.well-known/oauth-protected-resource"} {
		if got := w.get(address, "Origin", page); got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", address, got.status, got.header)
		}
		got := w.do(w.request(http.MethodOptions, address, nil, "Origin", page, "Access-Control-Request-Method", http.MethodGet,
			"Access-Control-Request-Headers", "mcp-protocol-version"))
		h := got.header
		if got.status != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Headers") != "*, Authorization" {
			t.Errorf("preflight request for %s: %d %v", address, got.status, h)
		}
	}
	if got := w.get(w.url+"/oauth2/revocations?since=x", "Origin", page); got.status != http.StatusBadRequest || got.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("an error: %d %v", got.status, got.header)
	}
	for method, address := range map[string]string{http.MethodPost: w.tokenURL(), http.MethodGet: w.url + "/books/1"} {
		got := w.do(w.request(method, address, nil, "Origin", page))
		if got.status < 400 || got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s without a recipe: %d %v", address, got.status, got.header)
		}
		got = w.do(w.request(http.MethodOptions, address, nil, "Origin", page, "Access-Control-Request-Method", method))
		if got.status < 400 || got.header.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("preflight request for %s without a recipe: %d %v", address, got.status, got.header)
		}
	}
}

// TestWebPagesReadNothingIfToldSo is for issuers whose documents should not leave a network.
func TestWebPagesReadNothingIfToldSo(t *testing.T) {
	for directive, want := range map[string]string{
		"header -Access-Control-Allow-Origin":                            "",
		"header Access-Control-Allow-Origin https://console.example.com": "https://console.example.com",
	} {
		t.Run(directive, func(t *testing.T) {
			w := startIssuer(t, issuerSettings{site: directive})
			for _, method := range []string{http.MethodGet, http.MethodOptions} {
				got := w.do(w.request(method, w.url+"/oauth2/jwks", nil, "Origin", "https://app.example.com", "Access-Control-Request-Method", "GET"))
				if values := got.header.Values("Access-Control-Allow-Origin"); len(values) > 1 || got.header.Get("Access-Control-Allow-Origin") != want {
					t.Errorf("%s: %d %q", method, got.status, values)
				}
			}
		})
	}
}
