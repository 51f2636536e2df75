package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// FuzzTokenEndpoint sends bodies and headers to the whole server. SECRET stands for the right secret. No request causes a
// panic or a server error, every answer is JSON that must not be stored, and there is no token without the secret.
func FuzzTokenEndpoint(f *testing.F) {
	w := startIssuer(f, issuerSettings{options: "audience " + issuerAudience})
	handler := w.Handler()
	for _, scopes := range []string{"book:read", "book:*:read book:edit", "*", "book::", "", "film:read \x00"} {
		f.Add(formType, "", "grant_type=client_credentials&client_id=demo&client_secret=SECRET&scope="+scopes)
		f.Add(formType, "Basic REVNTzpTRUNSRVQ=", "grant_type=client_credentials&scope="+scopes)
		f.Add("application/json", "", `{"grant_type":"client_credentials","client_id":"almighty","client_secret":"SECRET","scope":"`+scopes+`"}`)
		f.Add("application/json", "", `{"grant_type":"client_credentials","client_id":"former","client_secret":"SECRET","resource":["`+issuerAudience+`"]}`)
	}
	f.Add(formType+"; charset=utf-8", "Bearer x", "grant_type=client_credentials&grant_type=x&%zz")
	f.Add("text/plain", basic("demo", registry.NewSecret()), "grant_type=client_credentials&scope=book")
	f.Fuzz(func(t *testing.T, contentType, authorization, body string) {
		knowsSecret := strings.Contains(authorization+body, "SECRET")
		request := httptest.NewRequest(http.MethodPost, w.tokenURL(), strings.NewReader(strings.ReplaceAll(body, "SECRET", w.secret)))
		request.Header["Content-Type"] = []string{contentType}
		if authorization != "" {
			request.Header["Authorization"] = []string{strings.ReplaceAll(authorization, "SECRET", w.secret)}
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		response := recorder.Result()
		text := recorder.Body.String()
		if response.StatusCode >= 500 || response.StatusCode < 400 && !strings.Contains(text, "access_token") {
			t.Fatalf("%d %s", response.StatusCode, text)
		}
		if strings.Contains(text, "access_token") && !knowsSecret {
			t.Fatal("a token for somebody who does not know the secret")
		}
		if !json.Valid([]byte(text)) || response.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%v %s", response.Header, text)
		}
		if _, description, _ := strings.Cut(text, `"error_description":`); strings.Contains(description, w.secret) && !strings.Contains(text, "rejected_scope") {
			t.Fatalf("the answer shows the secret: %s", text)
		}
	})
}
