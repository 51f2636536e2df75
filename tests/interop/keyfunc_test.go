package interop_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
)

// accessClaims are the claims of RFC 9068 §2.2.
type accessClaims struct {
	jwt.RegisteredClaims
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

// keys is a key function over the JWKS of the issuer at that path.
func (s *server) keys(t *testing.T, path string) jwt.Keyfunc {
	t.Helper()
	keys, err := keyfunc.NewDefaultCtx(t.Context(), []string{s.site + path + "/oauth2/jwks"})
	if err != nil {
		t.Fatal(err)
	}
	return keys.Keyfunc
}

// options are what a careful API asks of a token.
func (s *server) options(path, alg string) []jwt.ParserOption {
	return []jwt.ParserOption{
		jwt.WithIssuer(s.site + path), jwt.WithValidMethods([]string{alg}), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(5 * time.Second), jwt.WithStrictDecoding(),
	}
}

// verify is the claims of a token of the issuer at that path.
func (s *server) verify(t *testing.T, path, raw string) *accessClaims {
	t.Helper()
	claims := new(accessClaims)
	if _, err := jwt.ParseWithClaims(raw, claims, s.keys(t, path), s.options(path, algOf(path))...); err != nil {
		t.Fatalf("verifying the token: %v", err)
	}
	return claims
}

// token asks the issuer at that path for a token.
func (s *server) token(t *testing.T, path string, scopes ...string) string {
	t.Helper()
	config := s.config(oauth2.AuthStyleInHeader, scopes...)
	config.TokenURL = s.site + path + "/oauth2/token"
	token, err := config.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
}

func TestKeyfuncVerifiesEveryAlgorithm(t *testing.T) {
	s := newServer(t)
	for _, issuer := range issuers {
		t.Run(issuer.alg, func(t *testing.T) {
			claims := new(accessClaims)
			options := append(s.options(issuer.path, issuer.alg), jwt.WithAudience(s.api), jwt.WithSubject(client))
			token, err := jwt.ParseWithClaims(s.token(t, issuer.path, "book:*:read"), claims, s.keys(t, issuer.path), options...)
			if err != nil {
				t.Fatal(err)
			}
			if token.Header["alg"] != issuer.alg || token.Header["typ"] != "at+jwt" || token.Header["kid"] == "" {
				t.Errorf("header is %v", token.Header)
			}
			if claims.ClientID != client || claims.Scope != "book:*:read" || claims.ID == "" || !slices.Equal(claims.Audience, []string{s.api}) {
				t.Errorf("claims are %+v", claims)
			}
		})
	}
}

func TestKeyfuncRefusesWhatIsNotMeant(t *testing.T) {
	s := newServer(t)
	rsa := s.token(t, "/tenants/rsa", "book:*:read")
	es := s.token(t, "", "book:*:read")
	for _, test := range []struct {
		name, raw, path string
		extra           jwt.ParserOption
		want            error
	}{
		{"another audience", es, "", jwt.WithAudience(ledger), jwt.ErrTokenInvalidAudience},
		{"another issuer's name", es, "", jwt.WithIssuer(s.site + "/tenants/rsa"), jwt.ErrTokenInvalidIssuer},
		{"another issuer's keys", rsa, "/tenants/pss", jwt.WithValidMethods([]string{"RS256"}), jwt.ErrTokenUnverifiable},
		{"the same key's other algorithm", rsa, "/tenants/rsa", jwt.WithValidMethods([]string{"PS256"}), jwt.ErrTokenSignatureInvalid},
		{"another payload", withPayloadOf(es, s.token(t, "", "book:1:read")), "", nil, jwt.ErrTokenSignatureInvalid},
		{"after its end", es, "", jwt.WithTimeFunc(func() time.Time { return time.Now().Add(time.Hour) }), jwt.ErrTokenExpired},
	} {
		options := s.options(test.path, algOf(test.path))
		if test.extra != nil {
			options = append(options, test.extra)
		}
		_, err := jwt.ParseWithClaims(test.raw, new(accessClaims), s.keys(t, test.path), options...)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: error is %v, want %v", test.name, err, test.want)
		}
	}
}

func algOf(path string) string {
	for _, issuer := range issuers {
		if issuer.path == path {
			return issuer.alg
		}
	}
	return ""
}

// withPayloadOf is a token whose payload is another's.
func withPayloadOf(raw, other string) string {
	parts := strings.Split(raw, ".")
	parts[1] = strings.Split(other, ".")[1]
	return strings.Join(parts, ".")
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
