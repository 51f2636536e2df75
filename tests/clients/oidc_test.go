package clients_test

import (
	"testing"

	"github.com/hashicorp/cap/jwt"
	"github.com/zitadel/oidc/v3/pkg/client/rs"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2/clientcredentials"
)

func (s *server) token(t *testing.T, issuer string) string {
	t.Helper()
	config := clientcredentials.Config{ClientID: client, ClientSecret: s.secret, TokenURL: issuer + "/oauth2/token"}
	token, err := config.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
}

// TestZitadelIntrospects uses Zitadel's library for APIs that ask the issuer, from discovery on.
func TestZitadelIntrospects(t *testing.T) {
	s := start(t, "respond ok")
	for _, issuer := range s.issuers {
		api, err := rs.NewResourceServerClientCredentials(t.Context(), issuer, client, s.secret)
		if err != nil {
			t.Fatalf("%s: %v", issuer, err)
		}
		for token, active := range map[string]bool{s.token(t, issuer): true, "garbage": false} {
			answer, err := rs.Introspect[*oidc.IntrospectionResponse](t.Context(), api, token)
			if err != nil || answer.Active != active || active && (answer.ClientID != client || answer.Scope[0] != "book:*:read") {
				t.Errorf("%s: the answer is %+v, %v", issuer, answer, err)
			}
		}
	}
}

// TestHashiCorpVerifies uses the library by which Vault verifies tokens.
func TestHashiCorpVerifies(t *testing.T) {
	s := start(t, "respond ok")
	for n, issuer := range s.issuers {
		keys, err := jwt.NewOIDCDiscoveryKeySet(t.Context(), issuer, "")
		if err != nil {
			t.Fatalf("%s: %v", issuer, err)
		}
		validator, err := jwt.NewValidator(keys)
		if err != nil {
			t.Fatal(err)
		}
		for audience, valid := range map[string]bool{s.apis[n]: true, "https://elsewhere.example.com": false} {
			expected := jwt.Expected{Issuer: issuer, Audiences: []string{audience}, SigningAlgorithms: []jwt.Alg{jwt.ES256}}
			claims, err := validator.Validate(t.Context(), s.token(t, issuer), expected)
			if (err == nil) != valid || valid && claims["client_id"] != client {
				t.Errorf("%s for %s: the claims are %v, %v", issuer, audience, claims, err)
			}
		}
	}
}
