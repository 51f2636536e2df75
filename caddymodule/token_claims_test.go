package caddymodule_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// parsed verifies a token with libraries that are not this plugin's, and the keys that the issuer
// publishes.
func (w *issuerWorld) parsed(raw string) *jwt.Token {
	w.t.Helper()
	parsed, err := jwt.Parse(raw, w.keyfunc(), jwt.WithIssuer(w.url), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		w.t.Fatalf("verifying the token: %v", err)
	}
	return parsed
}

func (w *issuerWorld) keyfunc() jwt.Keyfunc {
	w.t.Helper()
	keys, err := keyfunc.NewJWKSetJSON([]byte(w.get(w.url + "/oauth2/jwks").body))
	if err != nil {
		w.t.Fatal(err)
	}
	return keys.Keyfunc
}

func (w *issuerWorld) verified(raw string) jwt.MapClaims {
	w.t.Helper()
	return w.parsed(raw).Claims.(jwt.MapClaims)
}

func TestTokenIsThatOfRFC9068(t *testing.T) {
	w := startIssuer(t, issuerSettings{options: "audience https://api.example.com"})
	before := time.Now().Unix()
	a := w.ask("demo", "book:read book:edit")
	w.granted(a)
	token := w.parsed(*a.AccessToken)
	if got := slices.Sorted(maps.Keys(token.Header)); !slices.Equal(got, []string{"alg", "kid", "typ"}) {
		t.Errorf("header has %v", got)
	}
	if token.Header["typ"] != "at+jwt" || token.Header["alg"] != "ES256" {
		t.Errorf("header is %v", token.Header)
	}
	claims := token.Claims.(jwt.MapClaims)
	if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, []string{"aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub"}) {
		t.Errorf("claims are %v", got)
	}
	for name, want := range map[string]any{
		"iss": w.url, "sub": "demo", "client_id": "demo", "aud": "https://api.example.com", "scope": "book:read",
	} {
		if claims[name] != want {
			t.Errorf("%s is %v, want %v", name, claims[name], want)
		}
	}
	issued, expires := int64(claims["iat"].(float64)), int64(claims["exp"].(float64))
	if issued < before || issued > time.Now().Unix() || expires-issued != 600 || a.ExpiresIn != 600 {
		t.Errorf("iat %d, exp %d, expires_in %d", issued, expires, a.ExpiresIn)
	}
	if again := w.ask("demo", "book:read"); w.verified(*again.AccessToken)["jti"] == claims["jti"] {
		t.Error("two tokens have one jti")
	}
}

func TestSigningAlgorithms(t *testing.T) {
	for alg, isKey := range map[string]func(any) bool{
		"ES256": func(key any) bool { k, ok := key.(*ecdsa.PublicKey); return ok && k.Params().BitSize == 256 },
		"RS256": func(key any) bool { k, ok := key.(*rsa.PublicKey); return ok && k.N.BitLen() >= 2048 },
		"PS256": func(key any) bool { k, ok := key.(*rsa.PublicKey); return ok && k.N.BitLen() >= 2048 },
		"EdDSA": func(key any) bool { _, ok := key.(ed25519.PublicKey); return ok },
	} {
		t.Run(alg, func(t *testing.T) {
			w := startIssuer(t, issuerSettings{options: "signing_alg " + alg})
			a := w.ask("demo", "book:read")
			w.granted(a)
			token := w.parsed(*a.AccessToken)
			if token.Method.Alg() != alg {
				t.Errorf("the token is signed with %s", token.Method.Alg())
			}
			keys, err := keyfunc.NewJWKSetJSON([]byte(w.get(w.url + "/oauth2/jwks").body))
			if err != nil {
				t.Fatal(err)
			}
			if key, err := keys.Keyfunc(token); err != nil || !isKey(key) {
				t.Errorf("the key is %T: %v", key, err)
			}
		})
	}
}

// TestLifetimeIsTheSmallest holds the issuer's, the client's and the policy's lifetime together.
func TestLifetimeIsTheSmallest(t *testing.T) {
	for name, c := range map[string]struct {
		client, issuer string
		policy         int
		want           int
	}{
		"issuer by default": {"demo", "", 0, 600},
		"issuer":            {"demo", "token_ttl 90s", 3600, 90},
		"client":            {"careful", "token_ttl 1h", 3600, 120},
		"policy":            {"careful", "token_ttl 1h", 30, 30},
		"issuer of all":     {"careful", "token_ttl 45s", 100, 45},
	} {
		t.Run(name, func(t *testing.T) {
			settings := issuerSettings{options: c.issuer}
			if c.policy > 0 {
				settings.policy = map[string]string{"ttl.rego": fmt.Sprintf("package m2m.token\n\nttl contains 86400\nttl contains %d\n", c.policy)}
			}
			w := startIssuer(t, settings)
			a := w.ask(c.client, "book:1:read")
			w.granted(a)
			claims := w.verified(*a.AccessToken)
			if got := int(claims["exp"].(float64) - claims["iat"].(float64)); got != c.want || a.ExpiresIn != c.want {
				t.Errorf("the token lives %d s, expires_in is %d, want %d", got, a.ExpiresIn, c.want)
			}
		})
	}
}

const claimsPolicy = `package m2m.token

claims["team"] := input.client.attributes.team

claims["limits"] := {"books": 3, "precise": 9007199254740993}

claims["from"] := [input.request.remote_ip, input.request.auth_method, input.issuer]

claims["rooms"] := data.rooms

claims["audiences"] := {code: r.audience | some code, r in input.resources}
`

func TestPolicyAddsClaims(t *testing.T) {
	w := startIssuer(t, issuerSettings{policy: map[string]string{"claims.rego": claimsPolicy, "data.yaml": "rooms: [a, b]\n"}})
	a := w.post(w.form("demo", "film:read book:read"))
	w.granted(a)
	claims := w.verified(*a.AccessToken)
	for name, want := range map[string]string{
		"team":      "catalogue",
		"from":      "[127.0.0.1 client_secret_post " + w.url + "]",
		"rooms":     "[a b]",
		"audiences": "map[book:" + w.url + " film:https://films.example.com]",
	} {
		if got := fmt.Sprint(claims[name]); got != want {
			t.Errorf("claim %s is %s, want %s", name, got, want)
		}
	}
	if a.status != http.StatusOK || claims["limits"].(map[string]any)["books"] != 3.0 {
		t.Errorf("limits are %v", claims["limits"])
	}
}
