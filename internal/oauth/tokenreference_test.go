package oauth

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

const referenceForm = "token=the.token&client_id=ci-bot&client_secret=s3cret"

func TestParseTokenReference(t *testing.T) {
	post := TokenReference{Token: "the.token", Credentials: Credentials{ClientID: "ci-bot", Secret: "s3cret", Method: ClientSecretPost}}
	withBasic := post
	withBasic.Credentials.Method = ClientSecretBasic
	for name, test := range map[string]struct {
		body    string
		headers []string
		want    TokenReference
	}{
		"post":      {referenceForm, nil, post},
		"basic":     {"token=the.token", []string{"Authorization", basic("ci-bot", "s3cret")}, withBasic},
		"no client": {"token=the.token", nil, TokenReference{Token: "the.token"}},
		"no secret": {"token=the.token&client_id=ci-bot", nil, TokenReference{Token: "the.token", Credentials: Credentials{ClientID: "ci-bot"}}},
		"an assertion": {"token=the.token" + assertionForm, nil, TokenReference{Token: "the.token", Credentials: Credentials{
			Method: ClientAssertion, Assertion: "e30.e30.e30", AssertionType: AssertionTypeJWT,
		}}},
		"a hint":             {referenceForm + "&token_type_hint=access_token", nil, post},
		"a hint of another":  {referenceForm + "&token_type_hint=refresh_token", nil, post},
		"an unknown hint":    {referenceForm + "&token_type_hint=x&y=z", nil, post},
		"JSON":               {`{"token":"the.token","client_id":"ci-bot","client_secret":"s3cret"}`, []string{"Content-Type", typeJSON}, post},
		"the token verbatim": {strings.Replace(referenceForm, "the.token", "+x", 1), nil, TokenReference{" x", post.Credentials}},
	} {
		got, err := ParseTokenReference(nil, request(test.body, test.headers...))
		if err != nil || *got != test.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestParseTokenReferenceRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		request func() *http.Request
		status  int
		code    string
	}{
		"GET":                {func() *http.Request { r := request(referenceForm); r.Method = "GET"; return r }, 405, CodeInvalidRequest},
		"a query":            {func() *http.Request { r := request(referenceForm); r.URL.RawQuery = "token=x"; return r }, 400, CodeInvalidRequest},
		"another type":       {func() *http.Request { return request(referenceForm, "Content-Type", "text/plain") }, 400, CodeInvalidRequest},
		"too large":          {func() *http.Request { return request(referenceForm + "&x=" + strings.Repeat("x", MaxBody)) }, 413, CodeInvalidRequest},
		"a repeated token":   {func() *http.Request { return request(referenceForm + "&token=x") }, 400, CodeInvalidRequest},
		"no token":           {func() *http.Request { return request("client_id=ci-bot&client_secret=s3cret") }, 400, CodeInvalidRequest},
		"an empty token":     {func() *http.Request { return request("token=&client_id=ci-bot&client_secret=s3cret") }, 400, CodeInvalidRequest},
		"two assertions":     {func() *http.Request { return request("token=x" + assertionForm + assertionForm) }, 400, CodeInvalidRequest},
		"an untyped one":     {func() *http.Request { return request("token=x&client_assertion=x") }, 400, CodeInvalidRequest},
		"both":               {func() *http.Request { return request(referenceForm + assertionForm) }, 400, CodeInvalidRequest},
		"a bearer token":     {func() *http.Request { return request("token=x", "Authorization", "Bearer x") }, 401, CodeInvalidClient},
		"two methods":        {func() *http.Request { return request(referenceForm, "Authorization", basic("ci-bot", "s3cret")) }, 400, CodeInvalidRequest},
		"a NUL in the token": {func() *http.Request { return request(referenceForm + "%00") }, 400, CodeInvalidRequest},
		"a semicolon":        {func() *http.Request { return request(referenceForm + ";token=x") }, 400, CodeInvalidRequest},
	} {
		got, err := ParseTokenReference(nil, test.request())
		if err == nil || err.Status != test.status || err.Code != test.code {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestTokenReferenceHidesTokenAndSecret(t *testing.T) {
	reference, err := ParseTokenReference(nil, request(referenceForm))
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	for _, verb := range strings.Split("%v %+v %#v %s %q %x %d", " ") {
		fmt.Fprintf(&shown, verb+"|"+verb+"\n", reference, *reference)
	}
	asJSON, _ := json.Marshal(map[string]any{"p": reference, "v": *reference})
	shown.Write(asJSON)
	slog.New(slog.NewTextHandler(&shown, nil)).Info("request", "p", reference, "v", *reference)
	for _, secret := range []string{"s3cret", "the.token", fmt.Sprintf("%x", "the.token")} {
		if strings.Contains(shown.String(), secret) {
			t.Errorf("shows %q in:\n%s", secret, &shown)
		}
	}
	if !strings.Contains(shown.String(), "ci-bot") {
		t.Errorf("shows nothing:\n%s", &shown)
	}
}

func TestWantsSignedIntrospection(t *testing.T) {
	const signed = "application/token-introspection+jwt"
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "application/*": false, "application/jwt": false,
		signed: true, "Application/Token-Introspection+JWT": true, signed + ";q=0": false, signed + ";q=x": false, signed + ";q=NaN": false,
		"application/json, " + signed:                 true,
		"application/json, " + signed + ";q=0.5":      false,
		"application/json;q=0.5, " + signed + ";q=.6": true,
		"*/*, " + signed + ";q=0.1":                   true,
		";;, " + signed:                               true,
	} {
		if got := WantsSignedIntrospection(http.Header{"Accept": {accept}}); got != want {
			t.Errorf("%q: %t", accept, got)
		}
	}
	if !WantsSignedIntrospection(http.Header{"Accept": {"text/html", signed}}) {
		t.Error("the second field is not read")
	}
}

func FuzzParseTokenReference(f *testing.F) {
	f.Add(typeForm, "", referenceForm)
	f.Add(typeForm, basic("ci-bot", "s3cret"), "token=a.b.c&token_type_hint=access_token")
	f.Add(typeJSON, "", `{"token":"a","client_id":"a","client_secret":"b"}`)
	f.Add("text/plain", "Bearer x", "\x00;%00&&=")
	f.Fuzz(func(t *testing.T, contentType, authorization, body string) {
		r := request(body, "Content-Type", contentType)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		got, err := ParseTokenReference(nil, r)
		if (got == nil) == (err == nil) {
			t.Fatalf("got %v and %v", got, err)
		}
		if err != nil {
			checkErrorBody(t, err)
			return
		}
		if got.Token == "" || !isUTF8(got.Token) || !areCredentials(got.Credentials) {
			t.Fatalf("accepted %s", got)
		}
	})
}
