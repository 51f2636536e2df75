package token

import (
	stdjson "encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

func TestSignIntrospection(t *testing.T) {
	for _, alg := range []Alg{ES256, RS256, PS256, EdDSA} {
		key, err := GenerateKey(alg)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := key.SignIntrospection(Introspection{
			Issuer: "https://auth.example.com", Audience: "api", IssuedAt: time.Unix(1_900_000_000, 5),
			Members: map[string]any{"active": true, "exp": stdjson.Number("1900000300"), "tenant": map[string]any{"id": "a"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		c, err := openCompact(signed, MaxTokenSize, headerRules{}, nil)
		if err != nil || string(c.header.Typ) != "token-introspection+jwt" {
			t.Fatalf("typ %q, %v", string(c.header.Typ), err)
		}
		_, _, err = c.signedBy(NewKeySet(key), nil)
		payload, _ := c.claims()
		const want = `{"iss":"https://auth.example.com","aud":"api","iat":1900000000,"token_introspection":{"active":true,"exp":1900000300,"tenant":{"id":"a"}}}`
		if err != nil || string(payload) != want {
			t.Errorf("%s: %s, %v", alg, payload, err)
		}
		_, err = Verify(signed, NewKeySet(key), Expect{Issuer: "https://auth.example.com", Audiences: []string{"api"}})
		if ErrorReason(err) != WrongType {
			t.Errorf("taken for an access token: %v", err)
		}
	}
	key, _ := GenerateKey(ES256)
	if _, err := key.SignIntrospection(Introspection{Members: map[string]any{"x": math.Inf(1)}}); err == nil || strings.Contains(err.Error(), "Inf") {
		t.Errorf("signed what is not JSON: %v", err)
	}
}

func TestAnyAudience(t *testing.T) {
	key, _ := GenerateKey(ES256)
	claims, err := Mint{Issuer: "https://a.example", ClientID: "c", ID: NewID(), Audience: []string{"https://b.example"}, IssuedAt: time.Now(), TTL: time.Minute}.Claims()
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := key.Sign(claims)
	if _, err := Verify(raw, NewKeySet(key), Expect{Issuer: "https://a.example"}); ErrorReason(err) != WrongAudience {
		t.Errorf("without audiences: %v", err)
	}
	if _, err := Verify(raw, NewKeySet(key), Expect{Issuer: "https://a.example", AnyAudience: true}); err != nil {
		t.Errorf("any audience: %v", err)
	}
	if _, err := Verify(raw, NewKeySet(key), Expect{Issuer: "https://x.example", AnyAudience: true}); ErrorReason(err) != WrongIssuer {
		t.Errorf("any audience, another issuer: %v", err)
	}
}
