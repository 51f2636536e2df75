package caddymodule_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// withAPIs is the catalogue with APIs that introspect, and a client whose tokens are soon over.
const withAPIs = catalogue + `  api:
    secrets: [{id: s1, sha256: HASH}]
    introspects: ["https://API.example.com:443/", "https://nobody.example.com"]
  films:
    secrets: [{id: s1, sha256: HASH}]
    introspects: ["https://films.example.com"]
  hasty:
    secrets: [{id: s1, sha256: HASH}]
    token_ttl: 1s
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
`

const inactive = `{"active":false}` + "\n"

func startIntrospection(t testing.TB) *issuerWorld {
	return startIssuer(t, issuerSettings{
		registry: withAPIs, options: "audience https://api.example.com",
		policy: map[string]string{"claims.rego": "package m2m.token\n\nclaims[\"tenant\"] := {\"id\": 7}\n"},
		site:   "m2m_auth /books/* {\nrequire GET /books/{id} book:{id}:read\n}\nrespond /books/* ok",
	})
}

// token asks for a token of a client for books and, if they are granted, films.
func (w *issuerWorld) token(client string) string {
	w.t.Helper()
	a := w.ask(client, "book:1:read film:1:read")
	w.granted(a)
	return *a.AccessToken
}

// about sends a request about a token to an endpoint.
func (w *issuerWorld) about(endpoint, client, raw string, header ...string) tokenAnswer {
	w.t.Helper()
	form := url.Values{"client_id": {client}, "client_secret": {w.secret}, "token": {raw}}
	header = append([]string{"Content-Type", formType}, header...)
	return w.do(w.request(http.MethodPost, w.url+"/oauth2/"+endpoint, strings.NewReader(form.Encode()), header...))
}

func TestIntrospectionOfAnActiveToken(t *testing.T) {
	w := startIntrospection(t)
	raw := w.token("careful")
	want := w.verified(raw)
	maps.Copy(want, map[string]any{"active": true, "token_type": "Bearer"})
	for _, client := range []string{"careful", "api"} { // its own, and an API that it is for
		a := w.about("introspect", client, raw)
		var got jwt.MapClaims
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != http.StatusOK || !reflect.DeepEqual(got, want) {
			t.Errorf("%s sees %s, want %v", client, a, want)
		}
		if a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("the answer may be stored: %v", a.header)
		}
		if !strings.Contains(a.body, `"tenant":{"id":7}`) || !strings.Contains(a.body, `"scope":"book:1:read"`) {
			t.Errorf("%s does not see it all: %s", client, a.body)
		}
	}
}

func TestIntrospectionSaysNothingElse(t *testing.T) {
	w := startIntrospection(t)
	raw, own := w.token("careful"), w.token("demo")
	short := w.token("hasty")
	elsewhere := servertest.StartIssuer(t)
	claims := elsewhere.Claims("https://api.example.com", "book:read", map[string]any{"iss": w.url, "client_id": "careful"})
	idToken := strings.Split(raw, ".")
	for name, test := range map[string]struct{ client, token string }{
		"another client's":                {"demo", raw},
		"for an audience of others":       {"films", raw},
		"garbage":                         {"careful", "garbage"},
		"garbage of three parts":          {"careful", "e30.e30.e30"},
		"very long":                       {"careful", strings.Repeat("x", 60_000)},
		"another's signature":             {"careful", idToken[0] + "." + idToken[1] + "." + strings.Split(own, ".")[2]},
		"another issuer's, in our name":   {"api", elsewhere.Sign(claims, nil)},
		"a secret in place of the token":  {"careful", w.secret},
		"a scope that nobody introspects": {"almighty", raw},
	} {
		if a := w.about("introspect", test.client, test.token); a.status != http.StatusOK || a.body != inactive {
			t.Errorf("%s: %s", name, a)
		}
	}
	if a := w.about("introspect", "films", own); !strings.Contains(a.body, `"active":true`) { // it is for both
		t.Errorf("a token of two audiences: %s", a)
	}
	servertest.Eventually(t, "the token is over", func() bool { return w.about("introspect", "hasty", short).body == inactive })
	if a := w.about("revoke", "careful", raw); a.status != http.StatusOK {
		t.Fatal(a)
	}
	for _, client := range []string{"careful", "api"} {
		if a := w.about("introspect", client, raw); a.status != http.StatusOK || a.body != inactive {
			t.Errorf("%s, revoked: %s", client, a)
		}
	}
	if got := w.metric("introspections_total", `result="inactive"`); got == "" || got == "0" {
		t.Errorf("counts %q", got)
	}
}

// TestReferencesWantTheClientAsTokensDo: the endpoints answer a client that fails to authenticate with the same bytes as the
// token endpoint.
func TestReferencesWantTheClientAsTokensDo(t *testing.T) {
	w := startIntrospection(t)
	raw := w.token("careful")
	for _, endpoint := range []string{"introspect", "revoke"} {
		for name, form := range map[string]string{
			"wrong secret":   "client_id=careful&client_secret=" + registry.NewSecret(),
			"unknown client": "client_id=nobody&client_secret=" + w.secret,
			"disabled":       "client_id=former&client_secret=" + w.secret,
			"expired secret": "client_id=outdated&client_secret=" + w.secret,
			"no client":      "",
			"no secret":      "client_id=careful",
			"assertion":      "client_assertion=x&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
		} {
			form += "&grant_type=client_credentials&token=" + raw
			want := w.post(form)
			got := w.do(w.request(http.MethodPost, w.url+"/oauth2/"+endpoint, strings.NewReader(form), "Content-Type", formType))
			if got.status != want.status || got.body != want.body || got.header.Get("WWW-Authenticate") != want.header.Get("WWW-Authenticate") || got.status != 401 {
				t.Errorf("%s, %s: %s, want %s", endpoint, name, got, want)
			}
		}
		refusedToken(t, w.about(endpoint, "careful", ""), 400, "invalid_request")
		refusedToken(t, w.get(w.url+"/oauth2/"+endpoint+"?token="+raw), 405, "invalid_request")
		double := "token=a&token=b&client_id=careful&client_secret=" + w.secret
		refusedToken(t, w.do(w.request(http.MethodPost, w.url+"/oauth2/"+endpoint, strings.NewReader(double), "Content-Type", formType)), 400, "invalid_request")
	}
	if a := w.get(w.url+"/books/1", "Authorization", "Bearer "+raw); a.status != 200 {
		t.Errorf("a stranger has revoked a token: %s", a)
	}
}

func TestSignedIntrospection(t *testing.T) {
	w := startIntrospection(t)
	raw := w.token("careful")
	const signed = "application/token-introspection+jwt"
	for text, active := range map[string]bool{raw: true, "garbage": false} {
		a := w.about("introspect", "api", text, "Accept", signed)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != signed || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s %v", a, a.header)
		}
		response := w.parsedIntrospection(a.body)
		claims := response.Claims.(jwt.MapClaims)
		members, _ := claims["token_introspection"].(map[string]any)
		if response.Header["typ"] != "token-introspection+jwt" || claims["iss"] != w.url || claims["aud"] != "api" || members["active"] != active {
			t.Errorf("header %v, claims %v", response.Header, claims)
		}
		if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, []string{"aud", "iat", "iss", "token_introspection"}) {
			t.Errorf("claims %v", got)
		}
		if active != (members["jti"] == w.verified(raw)["jti"]) || !active && len(members) != 1 {
			t.Errorf("members %v", members)
		}
		if door := w.get(w.url+"/books/1", "Authorization", "Bearer "+a.body); door.status != 401 || !strings.Contains(door.body, "wrong_type") {
			t.Errorf("the door takes it for an access token: %s", door)
		}
	}
}

// parsedIntrospection verifies a signed response, which has no exp.
func (w *issuerWorld) parsedIntrospection(raw string) *jwt.Token {
	w.t.Helper()
	keys, err := token.GenerateKey(token.ES256) // only to know that a wrong key is refused
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := token.Verify(raw, token.NewKeySet(keys), token.Expect{Types: []string{token.IntrospectionType}}); token.ErrorReason(err) != token.UnknownKey {
		w.t.Errorf("verified with another key: %v", err)
	}
	parsed, err := jwt.Parse(raw, w.keyfunc(), jwt.WithIssuer(w.url), jwt.WithIssuedAt())
	if err != nil {
		w.t.Fatalf("verifying the response: %v", err)
	}
	return parsed
}

// TestIntrospectionWithoutStorage: while revocations of other nodes cannot be read, no token is active, and text that is
// not a token is inactive as always.
func TestIntrospectionWithoutStorage(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := startIntrospection(t)
	raw := w.token("careful")
	w.FailStorage("List")
	w.awaitHealth("revocations", "0")
	a := w.about("introspect", "careful", raw)
	refusedToken(t, a, http.StatusServiceUnavailable, "temporarily_unavailable")
	if a.header.Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
	if a := w.about("introspect", "careful", "garbage"); a.body != inactive {
		t.Errorf("garbage: %s", a)
	}
	if a := w.get(w.url+"/books/1", "Authorization", "Bearer "+raw); a.status != 200 {
		t.Errorf("the door goes on with what it knows, and: %s", a)
	}
	w.FailStorage("")
	w.awaitHealth("revocations", "1")
	if a := w.about("introspect", "careful", raw); !strings.Contains(a.body, `"active":true`) {
		t.Errorf("back again: %s", a)
	}
}

// FuzzReferenceEndpoints sends bodies and headers to the whole server. SECRET stands for the right secret, and TOKEN for a
// good token. No request causes a server error, and no answer tells anything without the secret.
func FuzzReferenceEndpoints(f *testing.F) {
	w := startIntrospection(f)
	handler := w.Handler()
	raw := w.token("careful")
	for _, endpoint := range []string{"introspect", "revoke"} {
		f.Add(endpoint, formType, "", "token=TOKEN&client_id=careful&client_secret=SECRET")
		f.Add(endpoint, formType, "Basic Y2FyZWZ1bDpTRUNSRVQ=", "token=TOKEN&token_type_hint=access_token")
		f.Add(endpoint, "application/json", "", `{"token":"e30.e30.e30","client_id":"api","client_secret":"SECRET"}`)
		f.Add(endpoint, "text/plain", "Bearer TOKEN", "token=TOKEN&&%zz")
	}
	f.Fuzz(func(t *testing.T, endpoint, contentType, authorization, body string) {
		if endpoint != "introspect" && endpoint != "revoke" {
			return
		}
		fill := strings.NewReplacer("SECRET", w.secret, "TOKEN", raw)
		request := httptest.NewRequest(http.MethodPost, w.url+"/oauth2/"+endpoint, strings.NewReader(fill.Replace(body)))
		request.Header["Content-Type"] = []string{contentType}
		if authorization != "" {
			request.Header["Authorization"] = []string{fill.Replace(authorization)}
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		text := recorder.Body.String()
		if recorder.Code >= 500 || recorder.Result().Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %s", recorder.Code, text)
		}
		if recorder.Code == 200 && !strings.Contains(authorization+body, "SECRET") {
			t.Fatalf("told without the secret: %s", text)
		}
		if text != "" && !json.Valid([]byte(text)) || strings.Contains(text, w.secret) || strings.Contains(text, raw) {
			t.Fatalf("the answer is %s", text)
		}
	})
}
