package token

import (
	"testing"
)

// TestTokensWithoutAudience: a list of clients stands in for a missing aud, as in Cognito's access tokens. It does not for one
// that is there.
func TestTokensWithoutAudience(t *testing.T) {
	key := testKey(t, ES256)
	keys := NewKeySet(key)
	without := signedClaims(t, key, testClaims(t, map[string]any{"aud": nil}))
	for name, test := range map[string]struct {
		raw     string
		clients []string
		missing []string
		want    Reason
	}{
		"of a client of the list":      {without, []string{"other", "ci-bot"}, []string{"aud"}, ""},
		"of another client":            {without, []string{"other"}, []string{"aud"}, WrongClient},
		"without a list":               {without, nil, []string{"aud"}, BadClaims},
		"a list alone":                 {without, []string{"ci-bot"}, nil, BadClaims},
		"no client at all":             {signedClaims(t, key, testClaims(t, map[string]any{"aud": nil, "client_id": nil})), []string{"ci-bot"}, []string{"aud"}, BadClaims},
		"a client that may be missing": {signedClaims(t, key, testClaims(t, map[string]any{"aud": nil, "client_id": nil})), []string{"ci-bot"}, []string{"aud", "client_id"}, WrongClient},
		"for another audience":         {signedClaims(t, key, testClaims(t, map[string]any{"aud": "x"})), []string{"ci-bot"}, []string{"aud"}, WrongAudience},
		"an empty list as aud":         {signedClaims(t, key, testClaims(t, map[string]any{"aud": []string{}})), []string{"ci-bot"}, []string{"aud"}, BadClaims},
		"null as aud":                  {signedClaims(t, key, testClaims(t, map[string]any{"aud": jsonNull})), []string{"ci-bot"}, []string{"aud"}, BadClaims},
		"with an aud, by the list":     {signed(t, key, testMint()), []string{"ci-bot"}, nil, ""},
		"with an aud, not by the list": {signed(t, key, testMint()), []string{"CI-BOT"}, nil, WrongClient},
	} {
		expect := testExpect()
		expect.Clients, expect.AllowMissing = test.clients, test.missing
		claims, err := Verify(test.raw, keys, expect)
		if ErrorReason(err) != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if err == nil && claims.Audience == nil && test.missing == nil {
			t.Errorf("%s: no audience", name)
		}
	}
	if err := (Expect{Clients: []string{"a", ""}}).Check(); err == nil {
		t.Error("an empty client is accepted")
	}
}

// TestNestedClaims: a name with dots leads into claims, and the longest name that is there counts.
func TestNestedClaims(t *testing.T) {
	key := testKey(t, ES256)
	raw := signedClaims(t, key, testClaims(t, map[string]any{
		"realm_access":    map[string]any{"roles": []string{"book:read", "offline_access", "film:*:edit"}},
		"resource_access": map[string]any{"my.api": map[string]any{"roles": []string{"book:edit"}}, "my": "x"},
		"kubernetes.io":   map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"name": "cart"}},
		"a.b":             "whole", "a": map[string]any{"b": "nested", "c": map[string]any{}},
		"https://example.com/roles": []string{"book:*:read"},
		"text":                      "a:read", "words": []string{"two words"},
	}))
	for name, want := range map[string]string{
		"realm_access.roles": "book:read offline_access film:*:edit", "resource_access.my.api.roles": "book:edit", "a.b": "whole",
		"https://example.com/roles": "book:*:read", "kubernetes.io.namespace": "shop", "kubernetes.io.serviceaccount.name": "cart",
		"realm_access.none": "", "a.c.d": "", "a.c": "bad", "realm_access": "bad", "text.x": "", "": "book:*:read book:1:edit", "words": "bad",
		".roles": "", "realm_access.": "", "realm_access..roles": "",
	} {
		expect := testExpect()
		expect.ScopeClaim = name
		claims, err := Verify(raw, NewKeySet(key), expect)
		switch {
		case want == "bad":
			wantReason(t, err, BadClaims)
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case claims.Scope != want:
			t.Errorf("%s: %q, want %q", name, claims.Scope, want)
		}
	}
	expect := testExpect()
	expect.ClientClaim = "kubernetes.io.serviceaccount.name"
	claims, err := Verify(raw, NewKeySet(key), expect)
	if err != nil || claims.ClientID != "cart" {
		t.Errorf("client %+v, %v", claims, err)
	}
	if claims.Get("kubernetes.io.namespace") != "shop" || claims.Get("kubernetes.io.none") != nil || claims.Get("a.b") != "whole" {
		t.Error("Get does not find them")
	}
	expect.ClientClaim = "kubernetes.io.pod.name"
	_, err = Verify(raw, NewKeySet(key), expect)
	wantReason(t, err, BadClaims)
}
