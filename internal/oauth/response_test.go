package oauth

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTokenResponseWrite(t *testing.T) {
	w := httptest.NewRecorder()
	TokenResponse{AccessToken: "e30.e30.e30", ExpiresIn: 600, Scope: "book:<&>:read"}.Write(w)
	want := `{"access_token":"e30.e30.e30","token_type":"Bearer","expires_in":600,"scope":"book:<&>:read","rejected_scope":""}`
	if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != want {
		t.Errorf("got %d %s", w.Code, got)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json",
		"X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestErrorWrite(t *testing.T) {
	rejected := ""
	full := InvalidScope("a \"b\"\r\nc\\d é\x00")
	full.RejectedScope, full.DecisionID = &rejected, "d1"
	cases := map[string]struct {
		err  *Error
		code int
		body string
	}{
		"plain": {InvalidTarget("no"), 400, `{"error":"invalid_target","error_description":"no"}`},
		"full":  {full, 400, `{"error":"invalid_scope","error_description":"a 'b'  c/d ??","rejected_scope":"","decision_id":"d1"}`},
		"503":   {Unavailable("no keys"), 503, `{"error":"temporarily_unavailable","error_description":"no keys"}`},
		"long":  {InvalidRequest(strings.Repeat("é", 600)), 400, `{"error":"invalid_request","error_description":"` + strings.Repeat("?", 512) + `"}`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			c.err.Write(w)
			if got := strings.TrimSpace(w.Body.String()); w.Code != c.code || got != c.body {
				t.Errorf("got %d %s", w.Code, got)
			}
			if (w.Code == 503) != (w.Header().Get("Retry-After") == "5") {
				t.Errorf("Retry-After: %q", w.Header().Get("Retry-After"))
			}
		})
	}
}
