package interop_test

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestTokenSourceOpensDoor is a program as most are written: an http.Client that gets its tokens
// by itself.
func TestTokenSourceOpensDoor(t *testing.T) {
	s := newServer(t)
	caller := s.config(oauth2.AuthStyleAutoDetect, "book:*:read").Client(t.Context())
	for _, test := range []struct {
		method, path, body string
		status             int
		challenge          string
	}{
		{http.MethodGet, "/books/1", "GET client=demo scope=book:*:read authorization=", http.StatusOK, ""},
		{http.MethodGet, "/books/another", "GET client=demo scope=book:*:read authorization=", http.StatusOK, ""},
		{http.MethodPut, "/books/1", "", http.StatusForbidden, `scope="book:1:edit"`},
		{http.MethodGet, "/elsewhere", "", http.StatusForbidden, `error="insufficient_scope"`},
	} {
		response := send(t, caller, test.method, s.api+test.path)
		if response.StatusCode != test.status || !strings.Contains(response.Header.Get("WWW-Authenticate"), test.challenge) {
			t.Errorf("%s %s: %s, challenge %q", test.method, test.path, response.Status, response.Header.Get("WWW-Authenticate"))
		}
		if body := servertest.Body(t, response); test.body != "" && body != test.body {
			t.Errorf("%s %s: the upstream saw %q, want %q", test.method, test.path, body, test.body)
		}
	}
}

// TestTokenSourceAsksOnce is x/oauth2's reuse of a token, which needs an expires_in that it
// understands.
func TestTokenSourceAsksOnce(t *testing.T) {
	s := newServer(t)
	caller := s.config(oauth2.AuthStyleInHeader, "book:*:read").Client(t.Context())
	for range 3 {
		response := send(t, caller, http.MethodGet, s.api+"/books/1")
		if servertest.Body(t, response); response.StatusCode != http.StatusOK {
			t.Fatal(response.Status)
		}
	}
	if decisions := s.LogLines("m2m.decisions"); len(decisions) != 1 {
		t.Errorf("%d tokens were issued, want 1", len(decisions))
	}
}

func TestDoorRefusesTokensOfOthers(t *testing.T) {
	s := newServer(t)
	for name, raw := range map[string]string{
		"another issuer":   s.token(t, "/tenants/rsa", "book:*:read"),
		"another audience": s.token(t, "", "ledger:*:read"),
	} {
		caller := oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: raw}))
		response := send(t, caller, http.MethodGet, s.api+"/books/1")
		servertest.Body(t, response)
		if challenge := response.Header.Get("WWW-Authenticate"); response.StatusCode != http.StatusUnauthorized || !strings.Contains(challenge, `error="invalid_token"`) {
			t.Errorf("%s: %s, challenge %q", name, response.Status, challenge)
		}
	}
}

func send(t *testing.T, caller *http.Client, method, url string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := caller.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response
}
