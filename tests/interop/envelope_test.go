package interop_test

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// TestClientCredentialsAudience: clients of Auth0, Hydra and OpenTelemetry name the audience in EndpointParams. MCP clients put a
// slash behind a bare origin.
func TestClientCredentialsAudience(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct {
		params   url.Values
		audience string
	}{
		{url.Values{"audience": {ledger}}, ledger},
		{url.Values{"audience": {ledger + "/"}}, ledger},
		{url.Values{"audience": {"HTTPS://Ledger.EXAMPLE.com:443"}}, ledger},
		{url.Values{"audience": {ledger}, "resource": {ledger + "/"}}, ledger},
		{url.Values{"audience": {s.api + "/"}}, s.api},
		{url.Values{"audience": {ledger}, "resource": {s.api}}, "invalid_target"},
		{url.Values{"audience": {"ledger"}}, "invalid_target"},
		{url.Values{"audience": {ledger + "/x"}}, "invalid_target"},
	} {
		config := s.config(oauth2.AuthStyleInParams, "book:*:read", "ledger:*:read")
		config.EndpointParams = test.params
		token, err := config.Token(t.Context())
		switch refused, _ := err.(*oauth2.RetrieveError); {
		case refused != nil:
			if refused.ErrorCode != test.audience {
				t.Errorf("%v: %v", test.params, err)
			}
		case err != nil:
			t.Errorf("%v: %v", test.params, err)
		default:
			if got := s.verify(t, "", token.AccessToken).Audience; !sameSet(got, []string{test.audience}) {
				t.Errorf("%v: aud is %q, want %q", test.params, got, test.audience)
			}
		}
	}
}

// rewriting changes the requests of a client as a proxy or another HTTP library does.
type rewriting func(*http.Request)

func (change rewriting) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	change(r)
	return http.DefaultTransport.RoundTrip(r)
}

// TestClientCredentialsEnvelopes: what clients append to the URL and to the header does not matter.
func TestClientCredentialsEnvelopes(t *testing.T) {
	s := newServer(t)
	setBody := func(r *http.Request, body string) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	for name, change := range map[string]rewriting{
		"as it is": func(*http.Request) {},
		"MSAL":     func(r *http.Request) { r.URL.RawQuery = "client-request-id=7d1e4b0c" },
		"Apache HttpClient": func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=ISO-8859-1")
		},
		"Dart dio":          func(r *http.Request) { r.Header.Add("Content-Type", "application/x-www-form-urlencoded") },
		"an empty variable": func(r *http.Request) { r.Header.Set("Authorization", "") },
		"PHP": func(r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			setBody(r, string(bytes.TrimSpace(body))+"&options%5B%5D=1&options%5B%5D=2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := &http.Client{Transport: change}
			ctx := oidc.ClientContext(t.Context(), client) // x/oauth2 reads the same value
			token, err := s.config(oauth2.AuthStyleInParams, "book:*:read").Token(ctx)
			if err != nil || token.AccessToken == "" {
				t.Error(err)
			}
		})
	}
	config := s.config(oauth2.AuthStyleInParams, "book:*:read")
	config.TokenURL += "?client_secret=" + s.secret
	if _, err := config.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "not in the URL") || strings.Contains(err.Error(), s.secret) {
		t.Errorf("a secret in the URL: %v", err)
	}
}

// TestNearMissesAreErrors: libraries that are given a wrong URL fail, and their errors say which URL is right.
func TestNearMissesAreErrors(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"/oauth2/token/", "//oauth2/token", "/oauth/token"} {
		config := &clientcredentials.Config{ClientID: client, ClientSecret: s.secret, TokenURL: s.site + path, Scopes: []string{"book:*:read"}, AuthStyle: oauth2.AuthStyleInHeader}
		if _, err := config.Token(t.Context()); err == nil || !strings.Contains(err.Error(), s.site+"/oauth2/token") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := oidc.NewProvider(t.Context(), s.site+"//"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an issuer with slashes: %v", err)
	}
	keys := oidc.NewRemoteKeySet(t.Context(), s.site+"/.well-known/jwks.json")
	token, err := s.config(oauth2.AuthStyleInHeader, "book:*:read").Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.VerifySignature(t.Context(), token.AccessToken); err == nil || !strings.Contains(err.Error(), s.site+"/oauth2/jwks") {
		t.Errorf("keys at another place: %v", err)
	}
}
