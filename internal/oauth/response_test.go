package oauth

import (
	"math/rand/v2"
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

// TestTokenResponseEncoding compares with encoding/json, byte for byte.
func TestTokenResponseEncoding(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	text := func() string {
		b := make([]byte, r.IntN(8))
		for i := range b {
			b[i] = byte(' ' + r.IntN(0x5f))
			if r.IntN(10) == 0 {
				b[i] = byte(r.IntN(256))
			}
		}
		return string(b) + []string{"", "\u2028", "é", "\x00"}[r.IntN(4)]
	}
	for range 20_000 {
		response := TokenResponse{AccessToken: text(), TokenType: text(), IssuedTokenType: text(), ExpiresIn: r.Int64() - r.Int64(), Scope: text(), RejectedScope: text()}
		if got, want := string(response.encode()), string(encodeJSON(response)); got != want {
			t.Fatalf("seed %d: %#v: got %s, want %s", seed, response, got, want)
		}
	}
}

// TestResponseHeadersAreOwn: a handler that changes the header of one response does not change that of the next.
func TestResponseHeadersAreOwn(t *testing.T) {
	first, second := httptest.NewRecorder(), httptest.NewRecorder()
	TokenResponse{}.Write(first)
	for name := range first.Header() {
		first.Header()[name][0] = "changed"
		first.Header()[name] = append(first.Header()[name], "added")
	}
	for name, values := range first.Header() {
		if len(values) != 2 || values[0] != "changed" {
			t.Errorf("%s: %q after a change of each field", name, values)
		}
	}
	TokenResponse{}.Write(second)
	for name, values := range second.Header() {
		if len(values) != 1 || values[0] == "changed" {
			t.Errorf("%s: %q", name, values)
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
