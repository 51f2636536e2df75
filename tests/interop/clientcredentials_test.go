package interop_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
)

// authStyles are the ways in which x/oauth2 sends a client's credentials. It remembers what it
// detected by token URL and client, so each server of these tests, on a port of its own, is new to it.
var authStyles = []struct {
	name  string
	style oauth2.AuthStyle
}{
	{"AutoDetect", oauth2.AuthStyleAutoDetect},
	{"InHeader", oauth2.AuthStyleInHeader},
	{"InParams", oauth2.AuthStyleInParams},
}

// oddClientIDs are allowed, and are changed by form-encoding, by percent-encoding, or would be if
// they were sent as they are.
var oddClientIDs = []string{
	"team/ci&stage=b?d#e",
	"ci@bot.example.com;v=2,x",
	"~(ci)'*!$|{bot}[1]<2>^`",
	"=",
	"#/-_.",
	"urn:app",
	"https://app.example.com/x",
	"https://app.example.com/x+y/?z=:",
	"a::b:",
}

func (s *server) config(style oauth2.AuthStyle, scopes ...string) *clientcredentials.Config {
	return &clientcredentials.Config{
		ClientID: client, ClientSecret: s.secret, TokenURL: s.site + "/oauth2/token", Scopes: scopes, AuthStyle: style,
	}
}

func TestClientCredentialsGetsTokenInEveryAuthStyle(t *testing.T) {
	s := newServer(t)
	for _, style := range authStyles {
		t.Run(style.name, func(t *testing.T) {
			before := time.Now()
			token, err := s.config(style.style, "book:*:read", "book:*:edit").Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantExtra(t, token, "scope", "book:*:read")
			wantExtra(t, token, "rejected_scope", "book:*:edit")
			if !token.Valid() || token.Type() != "Bearer" || token.RefreshToken != "" {
				t.Errorf("valid %t, type %q, refresh token %q", token.Valid(), token.Type(), token.RefreshToken)
			}
			if ttl := token.Expiry.Sub(before); ttl < 9*time.Minute || ttl > 11*time.Minute {
				t.Errorf("expires in %s, want about 10m", ttl)
			}
		})
	}
}

func TestClientCredentialsNothingRejectedIsEmptyString(t *testing.T) {
	token, err := newServer(t).config(oauth2.AuthStyleInHeader, "book:1:read").Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantExtra(t, token, "rejected_scope", "")
}

func TestClientCredentialsOddClientIDs(t *testing.T) {
	s := newServer(t)
	for _, id := range oddClientIDs {
		if err := registry.CheckClientID(id); err != nil {
			t.Fatalf("%q is not a client ID: %v", id, err)
		}
		for _, style := range authStyles {
			t.Run(style.name+" "+id, func(t *testing.T) {
				config := s.config(style.style, "book:1:read")
				config.ClientID = id
				token, err := config.Token(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if claims := s.verify(t, "", token.AccessToken); claims.ClientID != id || claims.Subject != id {
					t.Errorf("client_id %q, sub %q, want %q", claims.ClientID, claims.Subject, id)
				}
			})
		}
	}
}

func TestClientCredentialsResourceChoosesAudience(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct {
		resources, audience []string
		scope, rejected     string
	}{
		{nil, []string{s.api, ledger}, "book:*:read ledger:*:read", ""},
		{[]string{ledger}, []string{ledger}, "ledger:*:read", "book:*:read"},
		{[]string{s.api}, []string{s.api}, "book:*:read", "ledger:*:read"},
		{[]string{s.api, ledger}, []string{s.api, ledger}, "book:*:read ledger:*:read", ""},
	} {
		config := s.config(oauth2.AuthStyleInHeader, "book:*:read", "ledger:*:read")
		config.EndpointParams = url.Values{"resource": test.resources}
		token, err := config.Token(t.Context())
		if err != nil {
			t.Errorf("resource %q: %v", test.resources, err)
			continue
		}
		wantExtra(t, token, "scope", test.scope)
		wantExtra(t, token, "rejected_scope", test.rejected)
		if got := s.verify(t, "", token.AccessToken).Audience; !sameSet(got, test.audience) {
			t.Errorf("resource %q: aud is %q, want %q", test.resources, got, test.audience)
		}
	}
}

func TestClientCredentialsErrorCodes(t *testing.T) {
	s := newServer(t)
	for _, test := range []struct {
		name   string
		change func(*clientcredentials.Config)
		status int
		code   string
	}{
		{"all rejected", func(c *clientcredentials.Config) { c.Scopes = []string{"book:*:edit"} }, http.StatusBadRequest, "invalid_scope"},
		{"no scope", func(c *clientcredentials.Config) { c.Scopes = nil }, http.StatusBadRequest, "invalid_scope"},
		{"wrong secret", func(c *clientcredentials.Config) { c.ClientSecret = registry.NewSecret() }, http.StatusUnauthorized, "invalid_client"},
		{"unknown client", func(c *clientcredentials.Config) { c.ClientID = "unknown" }, http.StatusUnauthorized, "invalid_client"},
		{"no secret", func(c *clientcredentials.Config) { c.ClientSecret = "" }, http.StatusUnauthorized, "invalid_client"},
		{"unknown resource", func(c *clientcredentials.Config) {
			c.EndpointParams = url.Values{"resource": {"https://elsewhere.example.com"}}
		}, http.StatusBadRequest, "invalid_target"},
		{"other grant", func(c *clientcredentials.Config) {
			c.EndpointParams = url.Values{"grant_type": {"password"}}
		}, http.StatusBadRequest, "unsupported_grant_type"},
	} {
		for _, style := range authStyles {
			t.Run(test.name+" "+style.name, func(t *testing.T) {
				config := s.config(style.style, "book:*:read")
				test.change(config)
				_, err := config.Token(t.Context())
				var refused *oauth2.RetrieveError
				if !errors.As(err, &refused) {
					t.Fatalf("error is %v, want an oauth2.RetrieveError", err)
				}
				if refused.Response.StatusCode != test.status || refused.ErrorCode != test.code || refused.ErrorDescription == "" {
					t.Errorf("got %d %q %q, want %d %q and a description", refused.Response.StatusCode, refused.ErrorCode, refused.ErrorDescription, test.status, test.code)
				}
			})
		}
	}
}

func wantExtra(t *testing.T, token *oauth2.Token, name, want string) {
	t.Helper()
	if got, ok := token.Extra(name).(string); !ok || got != want {
		t.Errorf("%s is %#v, want %q", name, token.Extra(name), want)
	}
}
