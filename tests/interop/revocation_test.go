package interop_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// about sends a request about a token with x/oauth2's own encoding of credentials, which is
// url.QueryEscape.
func (s *server) about(t *testing.T, endpoint, id, token string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.site+endpoint, strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(s.secret))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, servertest.Body(t, response)
}

// TestRevokedTokenOfXOAuth2 gets tokens with x/oauth2 under odd client ids, looks at them and ends them.
func TestRevokedTokenOfXOAuth2(t *testing.T) {
	s := newServer(t)
	for _, id := range append([]string{client}, oddClientIDs...) {
		config := s.config(oauth2.AuthStyleInHeader, "book:*:read")
		config.ClientID = id
		token, err := config.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		status, body := s.about(t, "/oauth2/introspect", id, token.AccessToken)
		var told struct {
			Active   bool
			ClientID string `json:"client_id"`
		}
		if err := json.Unmarshal([]byte(body), &told); err != nil || status != 200 || !told.Active || told.ClientID != id {
			t.Errorf("%s: %d %s, %v", id, status, body, err)
		}
		source := oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(token))
		for _, want := range []int{200, 401} {
			response, err := source.Get(s.api + "/books/1")
			if err != nil {
				t.Fatal(err)
			}
			if response.Body.Close(); response.StatusCode != want {
				t.Errorf("%s: the door answers %d, want %d", id, response.StatusCode, want)
			}
			if status, body := s.about(t, "/oauth2/revoke", id, token.AccessToken); status != 200 || body != "" {
				t.Errorf("%s: revoking is answered %d %s", id, status, body)
			}
		}
		if _, body := s.about(t, "/oauth2/introspect", id, token.AccessToken); strings.TrimSpace(body) != `{"active":false}` {
			t.Errorf("%s: revoked, and %s", id, body)
		}
	}
}
