package interop_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google/externalaccount"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// supplier supplies the library with the token that its platform has given it.
type supplier func() string

func (w supplier) SubjectToken(context.Context, externalaccount.SupplierOptions) (string, error) {
	return w(), nil
}

// externalAccount is a program with the workload identity of a platform, as Google's library knows them.
func (f *federation) externalAccount(t *testing.T, tokenType string, subjectToken supplier) oauth2.TokenSource {
	t.Helper()
	source, err := externalaccount.NewTokenSource(t.Context(), externalaccount.Config{
		Audience: f.api, SubjectTokenType: tokenType, TokenURL: f.issuer + "/oauth2/token",
		Scopes: []string{"book:1:read", "book:1:edit"}, SubjectTokenSupplier: subjectToken,
	})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// TestGoogleExternalAccount uses golang.org/x/oauth2/google/externalaccount. It sends the token of a platform as the subject
// token of a token exchange (RFC 8693), without any authentication of a client, and insists on the type of the answer.
func TestGoogleExternalAccount(t *testing.T) {
	f := startFederation(t)
	identity := map[string]any{"iss": f.URL, "sub": "importer@example.com", "aud": f.issuer}
	sign := func(changes map[string]any) supplier {
		return func() string { return f.sign(nil, identity, changes) }
	}
	const jwtType, idTokenType = "urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"
	for _, tokenType := range []string{jwtType, idTokenType} {
		source := f.externalAccount(t, tokenType, sign(nil))
		f.opens(t, oauth2.NewClient(t.Context(), source))
		token, err := source.Token()
		if err != nil {
			t.Fatal(err)
		}
		if token.Type() != "Bearer" || token.Expiry.IsZero() {
			t.Errorf("got type %s, expiry %v", token.Type(), token.Expiry)
		}
	}
	for name, changes := range map[string]map[string]any{
		"another audience": {"aud": "https://other.example.com"},
		"several":          {"aud": []string{f.issuer, "https://other.example.com"}},
		"another subject":  {"sub": "other@example.com"},
		"another issuer":   {"iss": "https://other.example.com"},
		"expired":          {"exp": 1_700_000_000},
		"years ahead":      {"exp": 4_000_000_000},
	} {
		if _, err := f.externalAccount(t, jwtType, sign(changes)).Token(); err == nil || !strings.Contains(err.Error(), "400") && !strings.Contains(err.Error(), "401") {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.checkExchangeOfIdentity(t, sign(nil)(), sign(map[string]any{"sub": "other@example.com"})())
}

// checkExchangeOfIdentity reads answers that the library hides: the token is the client's own, and a stranger learns nothing.
func (f *federation) checkExchangeOfIdentity(t *testing.T, good, unknown string) {
	t.Helper()
	ask := func(subject, client string) (int, string) {
		response, err := http.PostForm(f.issuer+"/oauth2/token", url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "scope": {"book:1:read"}, "client_id": {client},
			"subject_token": {subject}, "subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, servertest.Body(t, response)
	}
	if status, body := ask(good, "importer"); status != http.StatusOK || !strings.Contains(body, `"scope":"book:1:read"`) || strings.Contains(body, "refresh_token") {
		t.Errorf("%d %s", status, body)
	}
	status, body := ask(good, "nobody")
	for what, subject := range map[string]string{"an unknown subject": unknown, "a wrong signature": good[:len(good)-4] + "AAAA"} {
		if otherStatus, other := ask(subject, ""); status != http.StatusBadRequest || otherStatus != status || withoutID(other) != withoutID(body) {
			t.Errorf("%s: %d %s, another client: %d %s", what, otherStatus, other, status, body)
		}
	}
}

// withoutID removes the ID of the decision, which is another one for each answer.
func withoutID(body string) string {
	before, _, _ := strings.Cut(body, `,"decision_id"`)
	return before
}
