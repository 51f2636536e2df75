package oauth

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// TestEnvelopes are requests that real clients send around a good body: RFC 6749 §3.2 tells a server to ignore the parameters
// that it does not know, and ASCII is the same in most charsets.
func TestEnvelopes(t *testing.T) {
	const jsonBody = `{"grant_type":"client_credentials","client_id":"ci-bot","client_secret":"s3cret","scope":"book:*:read book:*:edit"`
	asJSON := func(more string) *http.Request { return request(jsonBody+more+"}", "Content-Type", "application/json") }
	charset := func(parameter string) *http.Request {
		return request(goodForm, "Content-Type", typeForm+";"+parameter)
	}
	query := func(raw string) *http.Request {
		r := request(goodForm)
		r.URL.RawQuery = raw
		return r
	}
	two := request(goodForm, "Authorization", "")
	two.Header.Add("Authorization", " ")
	doubled := request(goodForm, "Content-Type", typeForm+"; charset=UTF-8")
	doubled.Header.Add("Content-Type", typeForm)
	for name, r := range map[string]*http.Request{
		"a type twice":           doubled,
		"a type twice in one":    request(goodForm, "Content-Type", typeForm+", "+typeForm+";charset=us-ascii"),
		"correlation id":         query("client-request-id=7d1e4b0c-9c1f-4f0e-8b8c-0e7f6e2f8f3f"),
		"trace":                  query("trace=1"),
		"many":                   query("api-version=2024-01-01&p=B2C_1&trace="),
		"a flag":                 query("debug"),
		"malformed":              query("%zz&a=%&;;&=x"),
		"like a known one":       query("x-client_id=a&client.secret=b&tokens=1&scope[]=x"),
		"empty":                  query("&"),
		"latin-1":                charset(" charset=ISO-8859-1"),
		"latin-9":                charset("charset=iso-8859-15"),
		"us-ascii":               charset(" charset=us-ascii"),
		"ansi":                   charset(" charset=ANSI_X3.4-1968"),
		"utf8":                   charset(" charset=utf8"),
		"windows":                charset(" charset=windows-1252"),
		"quoted":                 charset(` charset="UTF-8"`),
		"quoted twice":           charset(` charset="'UTF-8'"`),
		"single quotes":          charset(` charset='utf-8'`),
		"another attribute":      charset(` charset=utf-8; boundary=x`),
		"a bare semicolon":       charset(""),
		"coding utf-8":           request(goodForm, "Content-Encoding", "UTF-8"),
		"empty authorization":    request(goodForm, "Authorization", ""),
		"blank authorization":    request(goodForm, "Authorization", "  "),
		"a scheme alone":         request(goodForm, "Authorization", "Basic "),
		"another scheme alone":   request(goodForm, "Authorization", "bearer"),
		"two empty ones":         two,
		"ignored twice":          request(goodForm + "&x=1&x=2&token_type_hint=a&token_type_hint=b"),
		"ignored, not UTF-8":     request(goodForm + "&note=caf%E9"),
		"ignored, NUL":           request(goodForm + "&note=%00"),
		"form with line break":   request(goodForm + "\r\n"),
		"form with a mark":       request("\ufeff" + goodForm),
		"json null":              asJSON(`,"resource":null,"client_assertion":null,"x":null`),
		"json number":            asJSON(`,"expires_in":3600,"x":1.5e3`),
		"json nested":            asJSON(`,"x":{"y":[{"z":null}]},"token_type_hint":["a"]`),
		"json ignored NUL":       asJSON(`,"x":"\u0000"`),
		"json with a mark":       request("\ufeff"+jsonBody+"}", "Content-Type", "application/json"),
		"json with line break":   request(jsonBody+"}\n", "Content-Type", "application/json"),
		"json latin-1":           request(jsonBody+"}", "Content-Type", "application/json; charset=ISO-8859-1"),
		"json ignored, repeated": asJSON(`,"x":["a","a"]`),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTokenRequest(nil, r)
			if err != nil {
				t.Fatal(err)
			}
			want := TokenRequest{
				GrantType: "client_credentials", Scope: "book:*:read book:*:edit",
				Credentials: Credentials{ClientID: "ci-bot", Secret: "s3cret", Method: ClientSecretPost},
			}
			if !reflect.DeepEqual(*got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestEnvelopesOfReferences: introspection and revocation have the same rules.
func TestEnvelopesOfReferences(t *testing.T) {
	const body = `{"client_id":"ci-bot","client_secret":"s3cret","token":"x","token_type_hint":null,"scope":null,"x":{"y":1}}`
	r := request(body, "Content-Type", "application/json; charset=us-ascii", "Authorization", "")
	r.URL.RawQuery = "trace=1"
	if got, err := ParseTokenReference(nil, r); err != nil || got.Token != "x" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, query := range []string{"token=x", "access_token=x", "client_secret=s3cret&trace=1"} {
		r := request(body, "Content-Type", "application/json")
		r.URL.RawQuery = query
		if _, err := ParseTokenReference(nil, r); err == nil || err.Code != CodeInvalidRequest {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// TestEnvelopesThatAreRefused: what the endpoint knows belongs in the body, and what is not ASCII is in UTF-8.
func TestEnvelopesThatAreRefused(t *testing.T) {
	query := func(raw string) *http.Request {
		r := request(goodForm)
		r.URL.RawQuery = raw
		return r
	}
	charset := func(parameter string) *http.Request {
		return request(goodForm, "Content-Type", typeForm+"; charset="+parameter)
	}
	two := request(goodForm, "Authorization", "Basic ")
	two.Header.Add("Authorization", basic("ci-bot", "s3cret"))
	for name, r := range map[string]*http.Request{
		"secret":                  query("client_secret=s3cret"),
		"secret in capitals":      query("Client_Secret=s3cret"),
		"secret, encoded":         query("client%5Fsecret=s3cret"),
		"secret after another":    query("trace=1&client_secret=s3cret"),
		"secret, semicolons":      query("trace=1;client_secret=s3cret"),
		"secret beside malformed": query("%zz=1&client_secret=%zz"),
		"id":                      query("client_id=ci-bot"),
		"grant_type":              query("grant_type=client_credentials"),
		"a flag":                  query("scope"),
		"resource":                query("resource=https://api.example.com"),
		"audience":                query("audience=https://api.example.com"),
		"token":                   query("token=x"),
		"access_token":            query("access_token=x"),
		"password":                query("username=a&password=b"),
		"assertion":               query("client_assertion=a.b.c"),
		"utf-16":                  charset("utf-16"),
		"utf-16le":                charset("UTF-16LE"),
		"utf-32":                  charset("utf-32"),
		"utf-7":                   charset("utf-7"),
		"ebcdic":                  charset("ibm037"),
		"unknown":                 charset("x-unknown"),
		"latin-1 beyond ASCII":    request(goodForm+"&resource=urn:%E9", "Content-Type", typeForm+"; charset=iso-8859-1"),
		"latin-1 as UTF-8":        request(goodForm+"&resource=urn:%C3%A9", "Content-Type", typeForm+"; charset=iso-8859-1"),
		"two methods":             two,
		"twice, one in latin-1":   request(goodForm+"&resource=urn:%C3%A9", "Content-Type", typeForm+"; charset=iso-8859-1, "+typeForm),
		"twice, one in utf-16":    request(goodForm, "Content-Type", typeForm+", "+typeForm+"; charset=utf-16"),
		"twice, one empty":        request(goodForm, "Content-Type", typeForm+","),
		"a line break inside":     request("grant_type=client_credentials\n&client_id=a&client_secret=b"),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTokenRequest(nil, r)
			if err == nil {
				t.Fatalf("accepted: %s", got)
			}
			if err.Status != 400 || strings.Contains(err.Description, "s3cret") {
				t.Errorf("got %d %v", err.Status, err)
			}
		})
	}
}

// TestAudienceIsAResource: Auth0, Hydra, Kafka and OpenTelemetry call it audience.
func TestAudienceIsAResource(t *testing.T) {
	asJSON := func(more string) *http.Request {
		return request(`{"grant_type":"client_credentials","client_id":"a","client_secret":"b",`+more+`}`, "Content-Type", "application/json")
	}
	const a, b = "https://a.example.com", "https://b.example.com/"
	for name, c := range map[string]struct {
		request *http.Request
		want    []string
		code    string
	}{
		"one":                {request(goodForm + "&audience=" + a), []string{a}, ""},
		"two":                {request(goodForm + "&audience=" + a + "&audience=" + b), []string{a, b}, ""},
		"two in one":         {request(goodForm + "&audience=" + a + "+" + b), []string{a, b}, ""},
		"empty":              {request(goodForm + "&audience="), nil, ""},
		"same":               {request(goodForm + "&resource=" + a + "&audience=" + a), []string{a}, ""},
		"same in effect":     {request(goodForm + "&resource=" + b + "&audience=HTTPS://B.example.com:443"), []string{b}, ""},
		"same, other order":  {request(goodForm + "&audience=" + a + "+" + b + "&resource=" + b + "&resource=" + a), []string{b, a}, ""},
		"json":               {asJSON(`"audience":"` + a + `"`), []string{a}, ""},
		"json array":         {asJSON(`"audience":["` + a + `","` + b + `"]`), []string{a, b}, ""},
		"json null":          {asJSON(`"audience":null,"resource":"` + a + `"`), []string{a}, ""},
		"different":          {request(goodForm + "&resource=" + a + "&audience=" + b), nil, CodeInvalidTarget},
		"one more":           {request(goodForm + "&resource=" + a + "&audience=" + a + "+" + b), nil, CodeInvalidTarget},
		"one less":           {request(goodForm + "&resource=" + a + "&resource=" + b + "&audience=" + a), nil, CodeInvalidTarget},
		"a name":             {request(goodForm + "&audience=books"), nil, CodeInvalidTarget},
		"a fragment":         {request(goodForm + "&audience=" + a + "/%23x"), nil, CodeInvalidTarget},
		"eleven":             {request(goodForm + "&audience=" + strings.Repeat("urn:a:b+", 11)), nil, CodeInvalidTarget},
		"json array, nested": {asJSON(`"audience":[["` + a + `"]]`), nil, CodeInvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTokenRequest(nil, c.request)
			switch {
			case err != nil && err.Code != c.code, err == nil && c.code != "":
				t.Errorf("got %v, want %q", err, c.code)
			case err == nil && !reflect.DeepEqual(got.Resources, c.want):
				t.Errorf("got %q, want %q", got.Resources, c.want)
			}
		})
	}
}
