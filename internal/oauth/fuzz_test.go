package oauth

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzParseTokenRequest(f *testing.F) {
	f.Add(typeForm, "", goodForm)
	f.Add(typeForm, basic("ci-bot", "s3cret"), "grant_type=client_credentials&resource=https://api.example.com&resource=urn:a:b")
	f.Add(typeForm+"; charset=utf-8", "Basic Y2k6eA==", "grant_type=client_credentials&client_id=ci&x=%zz")
	f.Add(typeJSON, "", `{"grant_type":"client_credentials","client_id":"a","client_secret":"b","scope":"x"}`)
	f.Add(typeJSON, "Bearer x", `{"grant_type":"client_credentials","resource":["urn:a:b","https://x"],"x":"\ud800"}`)
	f.Add(typeJSON, "", `{"grant_type":"a","grant_type":[{"b":null}]} {}`)
	f.Add(typeForm, "", "grant_type=client_credentials"+assertionForm)
	f.Add(typeJSON, "", `{"grant_type":"client_credentials",`+assertionJSON+`}`)
	f.Add(typeForm, "", "grant_type="+GrantJWTBearer+"&assertion=a.b.c")
	f.Add(typeForm, basic("a", "b"), exchangeForm+"&actor_token=a&actor_token_type=b")
	f.Add(typeJSON, "", exchangeJSON+`,"client_id":"a"}`)
	f.Add("text/plain;charset=\"", "", "\x00;%00&&=")
	f.Fuzz(func(t *testing.T, contentType, authorization, body string) {
		r := request(body, "Content-Type", contentType)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		got, err := ParseTokenRequest(nil, r)
		if (got == nil) == (err == nil) {
			t.Fatalf("got %v and %v", got, err)
		}
		if err != nil {
			checkErrorBody(t, err)
			return
		}
		checkParsed(t, got, contentType, body)
	})
}

func checkErrorBody(t *testing.T, e *Error) {
	w := httptest.NewRecorder()
	e.Write(w)
	var body struct {
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || e.Status < 400 || e.Status >= 500 || body.Description == "" {
		t.Fatalf("wrote %d %s", e.Status, w.Body)
	}
}

// checkParsed reads the body again, by a parser that is not as strict: where ours accepts, both
// must see the same.
func checkParsed(t *testing.T, got *TokenRequest, contentType, body string) {
	lax := map[string]any{}
	if strings.Contains(strings.ToLower(contentType), "json") {
		if err := json.Unmarshal([]byte(body), &lax); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
	} else {
		values, _ := url.ParseQuery(body)
		for name := range values {
			lax[name] = values.Get(name)
		}
	}
	if scope, _ := lax["scope"].(string); scope != got.Scope || !utf8.ValidString(scope) {
		t.Fatalf("scope %q, lax %q", got.Scope, scope)
	}
	c, e := got.Credentials, got.Exchange
	if !areCredentials(c) {
		t.Fatalf("accepted %s", got)
	}
	same := func(name, value string) {
		if text, _ := lax[name].(string); text != value || !isUTF8(value) {
			t.Fatalf("%s of %s differs", name, got)
		}
	}
	same("grant_type", got.GrantType)
	if c.Method == ClientSecretBasic {
		same("client_secret", "")
	} else {
		same("client_id", c.ClientID)
		same("client_secret", c.Secret)
	}
	same("client_assertion", c.Assertion)
	same("client_assertion_type", c.AssertionType)
	if (got.GrantType == GrantJWTBearer) != (got.Assertion != "") || (got.GrantType == GrantTokenExchange) != (e.SubjectToken != "") ||
		(e.SubjectToken == "") != (e.SubjectTokenType == "") || (e.ActorToken == "") != (e.ActorTokenType == "") {
		t.Fatalf("grant of %s", got)
	}
	if got.Assertion != "" {
		same("assertion", got.Assertion)
	}
	if e.SubjectToken != "" {
		same("subject_token", e.SubjectToken)
		same("subject_token_type", e.SubjectTokenType)
		same("actor_token", e.ActorToken)
		same("actor_token_type", e.ActorTokenType)
		same("requested_token_type", e.RequestedTokenType)
	}
	if len(got.Resources) > MaxResources || slices.ContainsFunc(got.Resources, func(s string) bool { return !isResource(s) }) {
		t.Fatalf("resources %q", got.Resources)
	}
}

// areCredentials reports whether the parts of credentials fit each other.
func areCredentials(c Credentials) bool {
	switch c.Method {
	case ClientSecretBasic, ClientSecretPost:
		if c.ClientID == "" || c.Secret == "" || c.Assertion+c.AssertionType != "" {
			return false
		}
	case ClientAssertion:
		if c.Secret != "" || c.Assertion == "" || c.AssertionType == "" {
			return false
		}
	default:
		if c.Method+c.Secret+c.Assertion+c.AssertionType != "" {
			return false
		}
	}
	return (c.ClientID == "" || isPrintable(c.ClientID, maxClientID)) && len(c.Secret) <= maxClientSecret
}

func FuzzBasic(f *testing.F) {
	f.Add(basic("ci-bot", "s3cret"))
	f.Add(basic("a:b+%", "é&="))
	f.Add(basicRaw("urn:a:b+c"))
	f.Add("Basic Y2ktYm90OnMzY3JldB==")
	f.Add("basic  Y2\r\nkt")
	f.Add("Bearer x")
	f.Fuzz(func(t *testing.T, authorization string) {
		c, err := parseBasic(authorization)
		if err != nil {
			if c != (Credentials{}) || err.Status != 401 {
				t.Fatalf("got %q and %v", c, err)
			}
			return
		}
		again, err := parseBasic(basicRaw(formEncoded(c.ClientID) + ":" + formEncoded(c.Secret)))
		if c.ClientID == "" || c.Secret == "" || (err == nil && again != c) || (err != nil && len(c.ClientID)+len(c.Secret) <= 768) {
			t.Fatalf("%q, encoded again: %q, %v", c, again, err)
		}
	})
}

// formEncoded encodes a space as %20, because "+" stands for itself in Basic credentials.
func formEncoded(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func FuzzAccessToken(f *testing.F) {
	f.Add("Bearer e30.e30.e30", "", "a=b")
	f.Add("bearer  a==", "Bearer x", "access_token=x")
	f.Add("DPoP e30.e30.e30", "", "")
	f.Add("Basic YTpi", "", "%61ccess_token;x")
	f.Fuzz(func(t *testing.T, first, second, query string) {
		r := &http.Request{Header: http.Header{"Authorization": {first}}, URL: &url.URL{RawQuery: query}}
		if second != "" {
			r.Header.Add("Authorization", second)
		}
		token, scheme, refused := AccessToken(r)
		if (token == "") != (refused != nil) {
			t.Fatalf("got %q and %v", token, refused)
		}
		if refused != nil {
			if strings.ContainsAny(refused.Header(), "\r\n") || !json.Valid(refused.Body()) {
				t.Fatalf("challenge %q", refused.Header())
			}
			return
		}
		if second != "" || len(first) < len(scheme) || !strings.EqualFold(first[:len(scheme)], scheme) || !strings.HasSuffix(first, " "+token) || strings.ContainsAny(token, " ,\"\\;\t\x00") || r.URL.Query().Has("access_token") {
			t.Fatalf("token %q of %q, %q", token, first, second)
		}
	})
}
