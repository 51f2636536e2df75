package oauth

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestPublic sends the requests of a script, and those of a browser before them.
func TestPublic(t *testing.T) {
	document := NewDocument([]byte("{}"), "application/json", 0)
	ask := func(serve http.HandlerFunc, method string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/", nil)
		for n := 0; n < len(headers); n += 2 {
			r.Header.Set(headers[n], headers[n+1])
		}
		w := httptest.NewRecorder()
		Public(serve)(w, r)
		return w
	}
	fails := func(w http.ResponseWriter, _ *http.Request) { Unavailable("x").Write(w) }
	for name, c := range map[string]struct {
		got    *httptest.ResponseRecorder
		status int
	}{
		"GET":                {ask(document.ServeHTTP, http.MethodGet, "Origin", "https://app.example.com"), 200},
		"GET, of no page":    {ask(document.ServeHTTP, http.MethodGet), 200}, // so that a cache's answer is good for all
		"GET, of a sandbox":  {ask(document.ServeHTTP, http.MethodGet, "Origin", "null"), 200},
		"GET, that is known": {ask(document.ServeHTTP, http.MethodGet, "If-None-Match", document.etag), 304},
		"GET, that fails":    {ask(fails, http.MethodGet), 503},
		"POST":               {ask(document.ServeHTTP, http.MethodPost), 405},
		"OPTIONS":            {ask(fails, http.MethodOptions), 204},
	} {
		if h := c.got.Header(); c.got.Code != c.status || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("Access-Control-Allow-Credentials") != "" || h.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%s: %d %v", name, c.got.Code, h)
		}
	}
	got := ask(fails, http.MethodOptions, "Origin", "https://app.example.com", "Access-Control-Request-Method", "GET",
		"Access-Control-Request-Headers", "authorization,mcp-protocol-version")
	want := map[string]string{
		"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET, HEAD", "Access-Control-Allow-Headers": "*, Authorization",
		"Access-Control-Max-Age": "86400", "Allow": "GET, HEAD, OPTIONS",
	}
	for field, value := range want {
		if got.Code != 204 || got.Header().Get(field) != value || got.Body.Len() != 0 {
			t.Errorf("the preflight answer is %d %v %s", got.Code, got.Header(), got.Body)
		}
	}
}

func TestPublicLeavesAnAllowedOrigin(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Set("Access-Control-Allow-Origin", "https://app.example.com")
	Public(func(http.ResponseWriter, *http.Request) {})(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if got := w.Header().Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "https://app.example.com" {
		t.Errorf("allowed are %q", got)
	}
}
