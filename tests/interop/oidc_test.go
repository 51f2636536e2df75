package interop_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2/clientcredentials"
)

// provider discovers the issuer at that path, which go-oidc does as OpenID Connect Discovery says.
func (s *server) provider(t *testing.T, path string) *oidc.Provider {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), s.site+path)
	if err != nil {
		t.Fatal(err)
	}
	return provider
}

// TestGoOIDCDiscoversAndVerifies goes from nothing but the issuer's URL to a verified token.
func TestGoOIDCDiscoversAndVerifies(t *testing.T) {
	s := newServer(t)
	for _, issuer := range issuers {
		t.Run(issuer.alg, func(t *testing.T) {
			provider := s.provider(t, issuer.path)
			config := &clientcredentials.Config{
				ClientID: client, ClientSecret: s.secret, TokenURL: provider.Endpoint().TokenURL, Scopes: []string{"book:*:read"},
			}
			token, err := config.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for name, check := range map[string]*oidc.Config{"audience": {ClientID: s.api}, "no audience": {SkipClientIDCheck: true}} {
				verified, err := provider.Verifier(check).Verify(t.Context(), token.AccessToken)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if verified.Issuer != s.site+issuer.path || verified.Subject != client || time.Until(verified.Expiry) < time.Minute {
					t.Errorf("%s: issuer %q, subject %q, expiry %s", name, verified.Issuer, verified.Subject, verified.Expiry)
				}
			}
		})
	}
}

func TestGoOIDCRemoteKeySet(t *testing.T) {
	s := newServer(t)
	for _, issuer := range issuers {
		raw := s.token(t, issuer.path, "book:*:read")
		keys := oidc.NewRemoteKeySet(t.Context(), s.site+issuer.path+"/oauth2/jwks")
		payload, err := keys.VerifySignature(t.Context(), raw)
		if err != nil || !strings.Contains(string(payload), `"client_id":"demo"`) {
			t.Errorf("%s: payload %s, error %v", issuer.alg, payload, err)
		}
		config := &oidc.Config{ClientID: s.api, SupportedSigningAlgs: []string{issuer.alg}}
		if _, err := oidc.NewVerifier(s.site+issuer.path, keys, config).Verify(t.Context(), raw); err != nil {
			t.Errorf("%s: %v", issuer.alg, err)
		}
	}
}

func TestGoOIDCRefusesWhatIsNotMeant(t *testing.T) {
	s := newServer(t)
	raw := s.token(t, "", "book:*:read")
	keys := oidc.NewRemoteKeySet(t.Context(), s.site+"/oauth2/jwks")
	discovered := func(path string, config oidc.Config) *oidc.IDTokenVerifier {
		return s.provider(t, path).Verifier(&config)
	}
	for _, test := range []struct {
		name, raw string
		verifier  *oidc.IDTokenVerifier
		want      string
	}{
		{"another audience", raw, discovered("", oidc.Config{ClientID: ledger}), "expected audience"},
		{"another algorithm", raw, discovered("/tenants/rsa", oidc.Config{ClientID: s.api}), "unexpected signature algorithm"},
		{"another issuer's keys", raw, discovered("/tenants/rsa", oidc.Config{ClientID: s.api, SupportedSigningAlgs: []string{"ES256"}}), "failed to verify"},
		{"another issuer's name", raw, oidc.NewVerifier(s.site+"/tenants/rsa", keys, &oidc.Config{ClientID: s.api, SupportedSigningAlgs: []string{"ES256"}}), "different provider"},
		{"another payload", withPayloadOf(raw, s.token(t, "", "book:1:read")), discovered("", oidc.Config{ClientID: s.api}), "failed to verify"},
		{"after its end", raw, discovered("", oidc.Config{ClientID: s.api, Now: func() time.Time { return time.Now().Add(time.Hour) }}), "expired"},
	} {
		if _, err := test.verifier.Verify(t.Context(), test.raw); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error is %v, want one with %q", test.name, err, test.want)
		}
	}
}

// TestGoOIDCMetadata reads what go-oidc leaves to its callers.
func TestGoOIDCMetadata(t *testing.T) {
	s := newServer(t)
	var metadata struct {
		Scopes      []string `json:"scopes_supported"`
		GrantTypes  []string `json:"grant_types_supported"`
		AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := s.provider(t, "/tenants/ed").Claims(&metadata); err != nil {
		t.Fatal(err)
	}
	if !sameSet(metadata.Scopes, []string{"book:*:read", "book:*:edit", "ledger:*:read"}) {
		t.Errorf("scopes_supported is %q", metadata.Scopes)
	}
	if !slices.Contains(metadata.GrantTypes, "client_credentials") || !slices.Contains(metadata.GrantTypes, "urn:ietf:params:oauth:grant-type:token-exchange") {
		t.Errorf("grant_types_supported is %q", metadata.GrantTypes)
	}
	if !sameSet(metadata.AuthMethods, []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}) {
		t.Errorf("token_endpoint_auth_methods_supported is %q", metadata.AuthMethods)
	}
}
