package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

const goodForm = "grant_type=client_credentials&client_id=ci-bot&client_secret=s3cret&scope=book:*:read+book:*:edit"

const (
	assertionForm = "&client_assertion=e30.e30.e30&client_assertion_type=" + AssertionTypeJWT
	assertionJSON = `"client_assertion":"e30.e30.e30","client_assertion_type":"` + AssertionTypeJWT + `"`
	exchangeForm  = "grant_type=" + GrantTokenExchange + "&subject_token=s.s.s&subject_token_type=" + TokenTypeJWT
	exchangeJSON  = `{"grant_type":"` + GrantTokenExchange + `","subject_token":"s.s.s","subject_token_type":"` + TokenTypeJWT + `"`
)

// request is a token request, to be changed by a case.
func request(body string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://auth.example.com/oauth2/token", strings.NewReader(body))
	r.Header.Set("Content-Type", typeForm)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func basic(id, secret string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return r.Header.Get("Authorization")
}

func TestParseTokenRequestAccepts(t *testing.T) {
	post := TokenRequest{
		GrantType: "client_credentials", Scope: "book:*:read book:*:edit",
		Credentials: Credentials{ClientID: "ci-bot", Secret: "s3cret", Method: ClientSecretPost},
	}
	odd := TokenRequest{
		GrantType: "client_credentials", Credentials: Credentials{ClientID: "a:b+c%/", Secret: `p:q&"\+%`, Method: ClientSecretBasic},
	}
	uri := TokenRequest{
		GrantType: "client_credentials", Credentials: Credentials{ClientID: "https://app.example.com/x+y?z#:", Secret: "p+q/=~", Method: ClientSecretBasic},
	}
	bare := TokenRequest{
		GrantType: "client_credentials", Credentials: Credentials{ClientID: "ci-bot", Secret: "s3cret", Method: ClientSecretBasic},
	}
	withResources := bare
	withResources.Resources = []string{"https://api.example.com/v1?x=1", "urn:example:api"}
	cases := map[string]struct {
		request *http.Request
		want    TokenRequest
	}{
		"form":              {request(goodForm), post},
		"form charset":      {request(goodForm, "Content-Type", "Application/X-WWW-Form-URLencoded; charset=UTF-8"), post},
		"identity":          {request(goodForm, "Content-Encoding", "identity"), post},
		"most parameters":   {request(goodForm + manyFields(maxParams-4)), post},
		"largest body":      {request(goodForm + "&x=" + strings.Repeat("a", MaxBody-len(goodForm)-3)), post},
		"json most members": {request(manyMembers(maxParams), "Content-Type", "application/json", "Authorization", basic("ci-bot", "s3cret")), bare},
		"unknown":           {request(goodForm + "&audienz=x&x=1"), post},
		"json": {request(`{"grant_type":"client_credentials","client_id":"ci-bot","client_secret":"s3cret",
			"scope":"book:*:read book:*:edit","x":"y"}`, "Content-Type", "application/json"), post},
		"json escapes": {request(`{"grant\u005ftype":"client_credentials","client_id":"ci-bot","client_secret":"s3cr\u0065t",
			"scope":"book:*:read book:*:edit"} `, "Content-Type", "application/json; charset=utf-8"), post},
		"basic":                  {request("grant_type=client_credentials", "Authorization", basic("ci-bot", "s3cret")), bare},
		"basic scheme case":      {request("grant_type=client_credentials", "Authorization", "bASIC  Y2ktYm90OnMzY3JldA=="), bare},
		"basic form-encoded":     {request("grant_type=client_credentials", "Authorization", basic(odd.Credentials.ClientID, odd.Credentials.Secret)), odd},
		"basic URI form-encoded": {request("grant_type=client_credentials", "Authorization", basic(uri.Credentials.ClientID, uri.Credentials.Secret)), uri},
		"basic URI not encoded":  {request("grant_type=client_credentials", "Authorization", basicRaw(uri.Credentials.ClientID+":"+uri.Credentials.Secret)), uri},
		"basic URI partly encoded": {request("grant_type=client_credentials", "Authorization",
			basicRaw("https:%2f%2Fapp.example.com/x+y?z#%3a:p%2Bq/=~")), uri},
		"basic and same id":      {request("grant_type=client_credentials&client_id=ci-bot", "Authorization", basic("ci-bot", "s3cret")), bare},
		"basic and empty secret": {request("grant_type=client_credentials&client_secret=", "Authorization", basic("ci-bot", "s3cret")), bare},
		"empty scope":            {request("grant_type=client_credentials&scope=", "Authorization", basic("ci-bot", "s3cret")), bare},
		"form resources": {request("grant_type=client_credentials&resource=https://api.example.com/v1%3Fx%3D1&resource=&resource=urn:example:api",
			"Authorization", basic("ci-bot", "s3cret")), withResources},
		"json resources": {request(`{"grant_type":"client_credentials","resource":["https://api.example.com/v1?x=1","urn:example:api"]}`,
			"Content-Type", "application/json", "Authorization", basic("ci-bot", "s3cret")), withResources},
	}
	none := TokenRequest{GrantType: "client_credentials"}
	named := TokenRequest{GrantType: "client_credentials", Credentials: Credentials{ClientID: "ci-bot"}}
	asserted := TokenRequest{GrantType: "client_credentials", Credentials: Credentials{
		Method: ClientAssertion, Assertion: "e30.e30.e30", AssertionType: AssertionTypeJWT,
	}}
	assertedID := asserted
	assertedID.Credentials.ClientID = "ci-bot"
	spiffe := asserted
	spiffe.Credentials.AssertionType = AssertionTypeSPIFFE
	granted := TokenRequest{GrantType: GrantJWTBearer, Assertion: "a.b.c", Scope: "book:*:read"}
	exchange := TokenRequest{GrantType: GrantTokenExchange, Exchange: Exchange{SubjectToken: "s.s.s", SubjectTokenType: TokenTypeJWT}}
	acting := exchange
	acting.Exchange.ActorToken, acting.Exchange.ActorTokenType, acting.Exchange.RequestedTokenType = "a.a.a", TokenTypeAccessToken, TokenTypeAccessToken
	acting.Credentials, acting.Resources = bare.Credentials, []string{"urn:example:api"}
	const grant = "grant_type=client_credentials"
	for name, body := range map[string]struct {
		form, json string
		want       TokenRequest
		auth       string
	}{
		"a bare scheme":   {grant, `{"grant_type":"client_credentials"}`, none, "Basic "},
		"no credentials":  {grant, `{"grant_type":"client_credentials"}`, none, ""},
		"an id alone":     {grant + "&client_id=ci-bot&client_secret=", `{"grant_type":"client_credentials","client_id":"ci-bot"}`, named, ""},
		"an assertion":    {grant + assertionForm, `{"grant_type":"client_credentials",` + assertionJSON + `}`, asserted, ""},
		"one and an id":   {grant + assertionForm + "&client_id=ci-bot", `{"grant_type":"client_credentials","client_id":"ci-bot",` + assertionJSON + `}`, assertedID, ""},
		"a SPIFFE one":    {grant + strings.Replace(assertionForm, "bearer", "spiffe", 1), `{"grant_type":"client_credentials",` + strings.Replace(assertionJSON, "bearer", "spiffe", 1) + `}`, spiffe, ""},
		"a bearer grant":  {"grant_type=" + GrantJWTBearer + "&assertion=a.b.c&scope=book:*:read", `{"grant_type":"` + GrantJWTBearer + `","assertion":"a.b.c","scope":"book:*:read"}`, granted, ""},
		"an exchange":     {exchangeForm, exchangeJSON + `}`, exchange, ""},
		"an actor's":      {exchangeForm + "&actor_token=a.a.a&actor_token_type=" + TokenTypeAccessToken + "&requested_token_type=" + TokenTypeAccessToken + "&audience=urn:example:api", exchangeJSON + `,"actor_token":"a.a.a","actor_token_type":"` + TokenTypeAccessToken + `","requested_token_type":"` + TokenTypeAccessToken + `","audience":["urn:example:api"]}`, acting, basic("ci-bot", "s3cret")},
		"another grant's": {grant + "&assertion=x&subject_token=x&actor_token_type=x", `{"grant_type":"client_credentials","assertion":"x","subject_token":"x"}`, none, ""},
	} {
		cases["form "+name] = struct {
			request *http.Request
			want    TokenRequest
		}{request(body.form, "Authorization", body.auth), body.want}
		cases["json "+name] = struct {
			request *http.Request
			want    TokenRequest
		}{request(body.json, "Content-Type", typeJSON, "Authorization", body.auth), body.want}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTokenRequest(nil, c.request)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestParseTokenRequestRefuses(t *testing.T) {
	asJSON := func(body string) *http.Request { return request(body, "Content-Type", "application/json") }
	withAuth := func(body, authorization string) *http.Request { return request(body, "Authorization", authorization) }
	two := func(r *http.Request, name, value string) *http.Request {
		r.Header.Add(name, value)
		return r
	}
	method := func(m string) *http.Request {
		r := request(goodForm)
		r.Method = m
		return r
	}
	query := request(goodForm)
	query.URL.RawQuery = "client_secret=s3cret"
	queries := func(name string) *http.Request {
		r := request(goodForm)
		r.URL.RawQuery = name + "=x"
		return r
	}
	unknownLength := httptest.NewRequest(http.MethodPost, "/", iotest.OneByteReader(strings.NewReader(strings.Repeat("a", MaxBody+1))))
	unknownLength.Header.Set("Content-Type", typeForm)
	truncated := httptest.NewRequest(http.MethodPost, "/", iotest.TimeoutReader(iotest.HalfReader(strings.NewReader(goodForm))))
	truncated.Header.Set("Content-Type", typeForm)
	const grant = "grant_type=client_credentials"

	cases := map[string]struct {
		request *http.Request
		status  int
		code    string
	}{
		"GET":                    {method("GET"), 405, CodeInvalidRequest},
		"HEAD":                   {method("HEAD"), 405, CodeInvalidRequest},
		"OPTIONS":                {method("OPTIONS"), 405, CodeInvalidRequest},
		"post":                   {method("post"), 405, CodeInvalidRequest},
		"query":                  {query, 400, CodeInvalidRequest},
		"query assertion":        {queries("assertion"), 400, CodeInvalidRequest},
		"query client assertion": {queries("Client_Assertion"), 400, CodeInvalidRequest},
		"query subject":          {queries("subject_token"), 400, CodeInvalidRequest},
		"query actor":            {queries("actor%5ftoken"), 400, CodeInvalidRequest},
		"gzip":                   {request(goodForm, "Content-Encoding", "gzip"), 400, CodeInvalidRequest},
		"identity then gzip":     {two(request(goodForm, "Content-Encoding", "identity"), "Content-Encoding", "gzip"), 400, CodeInvalidRequest},
		"no content type":        {request(goodForm, "Content-Type", ""), 400, CodeInvalidRequest},
		"text/plain":             {request(goodForm, "Content-Type", "text/plain"), 400, CodeInvalidRequest},
		"multipart":              {request(goodForm, "Content-Type", "multipart/form-data; boundary=x"), 400, CodeInvalidRequest},
		"two content types":      {two(request(goodForm), "Content-Type", typeJSON), 400, CodeInvalidRequest},
		"two in one":             {request(goodForm, "Content-Type", typeForm+", "+typeJSON), 400, CodeInvalidRequest},
		"length too large":       {request(goodForm + "&x=" + strings.Repeat("a", MaxBody)), 413, CodeInvalidRequest},
		"chunked too large":      {unknownLength, 413, CodeInvalidRequest},
		"truncated":              {truncated, 400, CodeInvalidRequest},
		"empty body":             {request(""), 400, CodeInvalidRequest},
		"percent zz":             {request(goodForm + "&x=%zz"), 400, CodeInvalidRequest},
		"bare percent":           {request(goodForm + "&x=100%"), 400, CodeInvalidRequest},
		"semicolon":              {request(goodForm + ";x=1"), 400, CodeInvalidRequest},
		"NUL in a name":          {request(goodForm + "&%00=x"), 400, CodeInvalidRequest},
		"repeated":               {request(goodForm + "&scope=x"), 400, CodeInvalidRequest},
		"repeated empty":         {request(goodForm + "&scope="), 400, CodeInvalidRequest},
		"repeated encoded":       {request(goodForm + "&sc%6fpe=x"), 400, CodeInvalidRequest},
		"too many":               {request(goodForm + manyFields(maxParams-3)), 400, CodeInvalidRequest},
		"json array":             {asJSON(`[]`), 400, CodeInvalidRequest},
		"json empty":             {asJSON(``), 400, CodeInvalidRequest},
		"json open":              {asJSON(`{"grant_type":"client_credentials"`), 400, CodeInvalidRequest},
		"json trailing":          {asJSON(`{"grant_type":"x"} {}`), 400, CodeInvalidRequest},
		"json trailing text":     {asJSON(`{"grant_type":"x"}x`), 400, CodeInvalidRequest},
		"json duplicate":         {asJSON(`{"grant_type":"client_credentials","grant_type":"client_credentials"}`), 400, CodeInvalidRequest},
		"json duplicate escaped": {asJSON(`{"grant_type":"client_credentials","grant\u005ftype":"x"}`), 400, CodeInvalidRequest},
		"json number":            {asJSON(`{"grant_type":1}`), 400, CodeInvalidRequest},
		"json scope array":       {asJSON(`{"grant_type":"client_credentials","scope":["a"]}`), 400, CodeInvalidRequest},
		"NUL in a scope":         {request(strings.Replace(goodForm, "book", "book%00", 1)), 400, CodeInvalidRequest},
		"scope not UTF-8":        {request(strings.Replace(goodForm, "book", "%ff", 1)), 400, CodeInvalidRequest},
		"json scope NUL":         {asJSON(`{"grant_type":"client_credentials","scope":"\u0000"}`), 400, CodeInvalidRequest},
		"json only null":         {asJSON(`{"grant_type":null}`), 400, CodeInvalidRequest},
		"json ignored malformed": {asJSON(`{"grant_type":"client_credentials","x":{"y":}}`), 400, CodeInvalidRequest},
		"json ignored duplicate": {asJSON(`{"grant_type":"client_credentials","x":{"y":1,"y":1}}`), 400, CodeInvalidRequest},
		"json audience number":   {asJSON(`{"grant_type":"client_credentials","audience":1}`), 400, CodeInvalidRequest},
		"json resource number":   {asJSON(`{"grant_type":"client_credentials","resource":["a:b",1]}`), 400, CodeInvalidRequest},
		"json resource nested":   {asJSON(`{"grant_type":"client_credentials","resource":[["a:b"]]}`), 400, CodeInvalidRequest},
		"json not UTF-8":         {asJSON("{\"grant_type\":\"\xff\"}"), 400, CodeInvalidRequest},
		"json lone surrogate":    {asJSON(`{"grant_type":"\ud800"}`), 400, CodeInvalidRequest},
		"json too many":          {asJSON(manyMembers(maxParams + 1)), 400, CodeInvalidRequest},

		"no grant type":       {request("client_id=a&client_secret=b"), 400, CodeInvalidRequest},
		"empty grant type":    {request("grant_type=&client_id=a&client_secret=b"), 400, CodeInvalidRequest},
		"password":            {request("grant_type=password&client_id=a&client_secret=b"), 400, CodeUnsupportedGrantType},
		"public client":       {request("grant_type=authorization_code&client_id=a&code=c"), 400, CodeUnsupportedGrantType},
		"grant type padded":   {request("grant_type=client_credentials+&client_id=a&client_secret=b"), 400, CodeUnsupportedGrantType},
		"secret alone":        {request(grant + "&client_secret=a"), 401, CodeInvalidClient},
		"long id":             {request(grant + "&client_secret=b&client_id=" + strings.Repeat("a", 257)), 401, CodeInvalidClient},
		"long secret":         {request(grant + "&client_id=a&client_secret=" + strings.Repeat("a", 513)), 401, CodeInvalidClient},
		"newline in id":       {request(grant + "&client_secret=b&client_id=a%0Ab"), 401, CodeInvalidClient},
		"id beyond ASCII":     {request(grant + "&client_secret=b&client_id=%C3%A9"), 401, CodeInvalidClient},
		"assertion":           {request(grant + "&client_assertion_type=urn:x&client_assertion=e30.e30.e30"), 401, CodeInvalidClient},
		"no assertion":        {request(grant + "&client_assertion_type=" + AssertionTypeJWT), 400, CodeInvalidRequest},
		"no type":             {request(grant + "&client_assertion=e30.e30.e30"), 400, CodeInvalidRequest},
		"SAML assertion":      {request(grant + "&client_assertion=x&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), 401, CodeInvalidClient},
		"two assertions":      {request(grant + assertionForm + assertionForm), 400, CodeInvalidRequest},
		"assertion + long id": {request(grant + assertionForm + "&client_id=" + strings.Repeat("a", 257)), 401, CodeInvalidClient},
		"assertion twice":     {asJSON(`{"grant_type":"client_credentials","client_assertion":["a","b"],"client_assertion_type":"` + AssertionTypeJWT + `"}`), 400, CodeInvalidRequest},
		"assertion NUL":       {request(grant + assertionForm + "%00"), 400, CodeInvalidRequest},
		"bad id alone":        {request(grant + "&client_id=a%0Ab"), 401, CodeInvalidClient},
		"typed + secret":      {request(goodForm + assertionForm), 400, CodeInvalidRequest},
		"typed + basic":       {withAuth(grant+assertionForm, basic("a", "b")), 400, CodeInvalidRequest},
		"typed + bearer":      {withAuth(grant+assertionForm, "Bearer abc"), 400, CodeInvalidRequest},

		"bearer grant without":    {request("grant_type=" + GrantJWTBearer + "&client_id=a&client_secret=b"), 400, CodeInvalidRequest},
		"bearer grant twice":      {request("grant_type=" + GrantJWTBearer + "&assertion=a&assertion=b"), 400, CodeInvalidRequest},
		"exchange without":        {request("grant_type=" + GrantTokenExchange + "&subject_token_type=" + TokenTypeJWT), 400, CodeInvalidRequest},
		"exchange without type":   {request("grant_type=" + GrantTokenExchange + "&subject_token=a"), 400, CodeInvalidRequest},
		"exchange twice":          {request(exchangeForm + "&subject_token=a"), 400, CodeInvalidRequest},
		"exchange types":          {request(exchangeForm + "&subject_token_type=a"), 400, CodeInvalidRequest},
		"actor without type":      {request(exchangeForm + "&actor_token=a"), 400, CodeInvalidRequest},
		"actor type alone":        {request(exchangeForm + "&actor_token_type=a"), 400, CodeInvalidRequest},
		"exchange number":         {asJSON(`{"grant_type":"` + GrantTokenExchange + `","subject_token":1}`), 400, CodeInvalidRequest},
		"exchange resource":       {request(exchangeForm + "&resource=books"), 400, CodeInvalidTarget},
		"bearer grant and secret": {request("grant_type=" + GrantJWTBearer + "&assertion=a&client_secret=b" + assertionForm), 400, CodeInvalidRequest},

		"assertion + secret": {request(grant + "&client_assertion=x&client_id=a&client_secret=b"), 400, CodeInvalidRequest},
		"assertion + basic":  {withAuth(grant+"&client_assertion=x", basic("a", "b")), 400, CodeInvalidRequest},
		"bearer":             {withAuth(grant, "Bearer abc"), 401, CodeInvalidClient},
		"bearer + post":      {withAuth(goodForm, "Bearer abc"), 400, CodeInvalidRequest},
		"basic + post":       {withAuth(goodForm, basic("ci-bot", "s3cret")), 400, CodeInvalidRequest},
		"basic + secret":     {withAuth(grant+"&client_secret=s3cret", basic("ci-bot", "s3cret")), 400, CodeInvalidRequest},
		"basic + other id":   {withAuth(grant+"&client_id=other", basic("ci-bot", "s3cret")), 400, CodeInvalidRequest},
		"two basics":         {two(withAuth(grant, basic("a", "b")), "Authorization", basic("a", "b")), 400, CodeInvalidRequest},

		"resource relative":   {request(goodForm + "&resource=/books"), 400, CodeInvalidTarget},
		"resource word":       {request(goodForm + "&resource=books"), 400, CodeInvalidTarget},
		"resource fragment":   {request(goodForm + "&resource=https://api.example.com/%23x"), 400, CodeInvalidTarget},
		"resource empty frag": {request(goodForm + "&resource=https://api.example.com/%23"), 400, CodeInvalidTarget},
		"resource space":      {request(goodForm + "&resource=https://api.example.com/a+b"), 400, CodeInvalidTarget},
		"resource newline":    {request(goodForm + "&resource=https://api.example.com/%0a"), 400, CodeInvalidTarget},
		"resource long":       {request(goodForm + "&resource=https://api.example.com/" + strings.Repeat("a", 1024)), 400, CodeInvalidTarget},
		"11 resources":        {request(goodForm + strings.Repeat("&resource=urn:a:b", 11)), 400, CodeInvalidTarget},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ParseTokenRequest(httptest.NewRecorder(), c.request)
			if err == nil {
				t.Fatalf("accepted: %s", got)
			}
			if got != nil || err.Status != c.status || err.Code != c.code {
				t.Fatalf("got %d %v, want %d %s", err.Status, err, c.status, c.code)
			}
			checkWritten(t, err)
		})
	}
}

func TestTooLargeIsRefusedUnread(t *testing.T) {
	r := request("")
	r.ContentLength, r.Body = MaxBody+1, io.NopCloser(iotest.ErrReader(errors.New("read")))
	if _, err := ParseTokenRequest(nil, r); err == nil || err.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("got %v", err)
	}
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "&x%d=", i)
	}
	return b.String()
}

func manyMembers(n int) string {
	m := map[string]string{"grant_type": "client_credentials"}
	for i := range n - 1 {
		m["x"+strconv.Itoa(i)] = ""
	}
	b, _ := json.Marshal(m)
	return string(b)
}

// checkWritten holds an error response to RFC 6749 §5.2, and to keeping secrets.
func checkWritten(t *testing.T, e *Error) {
	t.Helper()
	w := httptest.NewRecorder()
	e.Write(w)
	var body map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("body %q: %v", w.Body, err)
	}
	if w.Code != e.Status || body["error"] != e.Code || body["error_description"] == "" {
		t.Errorf("wrote %d %s", w.Code, w.Body)
	}
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", w.Header())
	}
	if challenge := w.Header().Get("WWW-Authenticate"); (w.Code == 401) != strings.HasPrefix(challenge, "Basic realm=") {
		t.Errorf("%d with WWW-Authenticate %q", w.Code, challenge)
	}
	if allow := w.Header().Get("Allow"); (w.Code == 405) != (allow == "POST") {
		t.Errorf("%d with Allow %q", w.Code, allow)
	}
	if strings.Contains(w.Body.String(), "s3cret") || strings.ContainsAny(body["error_description"], "\"\\\r\n") {
		t.Errorf("body %s", w.Body)
	}
}
