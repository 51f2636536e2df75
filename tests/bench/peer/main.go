// Command peer is the least token server that github.com/ory/fosite makes: client credentials and JWT access tokens by ES256, with one
// client in memory, and without a policy, a log or Caddy. tests/bench compares the plugin with it.
//
//	CLIENT_SECRET=<secret> peer <address> <client id>
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"
	"github.com/ory/fosite/token/jwt"
)

const issuer = "https://auth.example.com"

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: peer <address> <client id>")
	}
	provider, err := newProvider(os.Args[2], os.Getenv("CLIENT_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("POST /oauth2/token", provider)
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}

type provider struct{ fosite.OAuth2Provider }

func newProvider(client, secret string) (provider, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return provider{}, err
	}
	hash := sha256.Sum256([]byte(secret))
	store := forgetful{storage.NewMemoryStore()}
	store.Clients[client] = &fosite.DefaultClient{
		ID: client, Secret: hash[:], GrantTypes: []string{"client_credentials"}, Scopes: []string{"book:*:read", "book:*:edit"},
	}
	config := &fosite.Config{
		AccessTokenLifespan: 10 * time.Minute, AccessTokenIssuer: issuer, TokenURL: issuer + "/oauth2/token",
		GlobalSecret: hash[:], ClientSecretsHasher: sha256Hasher{}, ScopeStrategy: fosite.ExactScopeStrategy,
	}
	signingKey := func(context.Context) (any, error) { return key, nil }
	return provider{compose.Compose(config, store, compose.CommonStrategy{
		CoreStrategy: compose.NewOAuth2JWTStrategy(signingKey, compose.NewOAuth2HMACStrategy(config), config),
	}, compose.OAuth2ClientCredentialsGrantFactory)}, nil
}

// ServeHTTP is the token endpoint, as fosite's README has it.
func (p provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	session := &oauth2.JWTSession{JWTClaims: new(jwt.JWTClaims), JWTHeader: &jwt.Headers{Extra: make(map[string]any)}}
	request, err := p.NewAccessRequest(r.Context(), r, session)
	if err != nil {
		p.WriteAccessError(r.Context(), w, request, err)
		return
	}
	for _, scope := range request.GetRequestedScopes() {
		request.GrantScope(scope)
	}
	response, err := p.NewAccessResponse(r.Context(), request)
	if err != nil {
		p.WriteAccessError(r.Context(), w, request, err)
		return
	}
	p.WriteAccessResponse(r.Context(), w, request, response)
}

// forgetful does not keep access tokens: as JWTs they need no storage, and a map of them all would grow without end.
type forgetful struct{ *storage.MemoryStore }

func (forgetful) CreateAccessTokenSession(context.Context, string, fosite.Requester) error {
	return nil
}

// sha256Hasher is the plugin's hash of secrets. The default, bcrypt, takes a thousand times as long as the rest of a request.
type sha256Hasher struct{}

func (sha256Hasher) Hash(_ context.Context, data []byte) ([]byte, error) {
	hash := sha256.Sum256(data)
	return hash[:], nil
}

func (sha256Hasher) Compare(_ context.Context, hash, data []byte) error {
	if got := sha256.Sum256(data); subtle.ConstantTimeCompare(hash, got[:]) != 1 {
		return errors.New("the secret is wrong")
	}
	return nil
}
