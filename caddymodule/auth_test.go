package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestDoorOfALocalIssuer asks this process's issuer for a token and goes through its door.
func TestDoorOfALocalIssuer(t *testing.T) {
	w := newWorld(t)
	response, err := http.Post(w.issuer+"/oauth2/token", "application/x-www-form-urlencoded",
		strings.NewReader("grant_type=client_credentials&client_id=demo&client_secret="+w.secret+"&scope=book:*:read"))
	if err != nil {
		t.Fatal(err)
	}
	token := answer{body: servertest.Body(t, response)}.member("access_token")
	d := &door{t: t, address: strings.TrimPrefix(w.issuer, "http://")}

	got := d.ask("GET", "/books/1", bearer(token))
	if want := `{"client":"demo","scope":"book:*:read","authorization":""}`; got.status != http.StatusOK || got.body != want {
		t.Errorf("with the token: %d %s", got.status, got.body)
	}
	got = d.ask("PUT", "/books/1", bearer(token))
	if got.status != http.StatusForbidden || !strings.Contains(got.challenge(), `scope="book:1:edit"`) {
		t.Errorf("beyond its scope: %d %s", got.status, got.challenge())
	}
	if got = d.ask("GET", "/books/1", nil); got.status != http.StatusUnauthorized {
		t.Errorf("without it: %d %s", got.status, got.body)
	}
	got = d.ask("GET", "/.well-known/oauth-protected-resource", nil)
	if !strings.Contains(got.body, `"scopes_supported":["book:*:edit","book:*:read"]`) {
		t.Errorf("metadata: %d %s", got.status, got.body)
	}
}

// TestRefusalsOfRequestsWithoutOneToken are RFC 6750 §3.1's: 401 without an error code where
// there is no bearer token, 400 where it cannot be told.
func TestRefusalsOfRequestsWithoutOneToken(t *testing.T) {
	d := newDoor(t, "")
	good := d.token("book:*:read")
	bare := "Bearer " + doorMetadata
	cases := map[string]struct {
		target    string
		header    http.Header
		status    int
		challenge string
		reason    string
	}{
		"no header":         {"/", nil, 401, bare, "missing_token"},
		"another scheme":    {"/", http.Header{"Authorization": {"Basic ZGVtbzpkZW1v"}}, 401, bare, "missing_token"},
		"scheme run on":     {"/", http.Header{"Authorization": {"Bearer" + good}}, 401, bare, "missing_token"},
		"only in the query": {"/?access_token=" + good, nil, 401, bare, "missing_token"},
		"empty header":      {"/", http.Header{"Authorization": {""}}, 401, bare, "missing_token"},
		"scheme alone":      {"/", http.Header{"Authorization": {"Bearer"}}, 400, "", "malformed_request"},
		"two tokens":        {"/", http.Header{"Authorization": {"Bearer " + good + " " + good}}, 400, "", "malformed_request"},
		"list of tokens":    {"/", http.Header{"Authorization": {"Bearer " + good + ", Bearer " + good}}, 400, "", "malformed_request"},
		"two headers":       {"/", http.Header{"Authorization": {"Bearer " + good, "Bearer " + good}}, 400, "", "malformed_request"},
		"and Basic":         {"/", http.Header{"Authorization": {"Basic ZGVtbzpkZW1v", "Bearer " + good}}, 400, "", "malformed_request"},
		"in the query, too": {"/?x=1&access%5ftoken=" + good, bearer(good), 400, "", "malformed_request"},
		"quoted":            {"/", http.Header{"Authorization": {`Bearer "` + good + `"`}}, 400, "", "malformed_request"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := d.ask("GET", c.target, c.header)
			if got.status != c.status || got.reason() != c.reason {
				t.Errorf("%d %s, want %d %s", got.status, got.body, c.status, c.reason)
			}
			if c.challenge != "" && got.challenge() != c.challenge {
				t.Errorf("challenge %q, want %q", got.challenge(), c.challenge)
			}
			if c.status == 400 && !strings.HasPrefix(got.challenge(), `Bearer error="invalid_request", `) {
				t.Errorf("challenge %q", got.challenge())
			}
			checkRefusal(t, d, got, good)
		})
	}
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER ", "Bearer   "} {
		if got := d.ask("GET", "/", http.Header{"Authorization": {scheme + good}}); got.status != http.StatusOK {
			t.Errorf("scheme %q: %d %s", scheme, got.status, got.body)
		}
	}
}

// checkRefusal holds what is so of every refusal.
func checkRefusal(t *testing.T, d *door, got answer, token string) {
	t.Helper()
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("header %v", got.header)
	}
	if len(got.header.Values("WWW-Authenticate")) != 1 || got.member("error") == "" || got.member("error_description") == "" {
		t.Errorf("says little: %v %s", got.header, got.body)
	}
	if strings.Contains(got.body, token) || strings.Contains(got.challenge(), token) {
		t.Errorf("repeats the token")
	}
	if seen := d.upstream.taken(); len(seen) > 0 {
		t.Errorf("the upstream was asked %s", seen[0].URL)
	}
}

func TestInvalidTokensAreRefusedWithTheirReason(t *testing.T) {
	d := newDoor(t, "require GET / book:*:read")
	issuer := d.issuer
	private, kid := issuer.Key()
	sign := func(claims, header map[string]any) string {
		return issuer.Sign(issuer.Claims(doorAudience, "book:*:read", claims), header)
	}
	withKey := func(method jwt.SigningMethod, key any) string {
		unsigned := jwt.NewWithClaims(method, jwt.MapClaims(issuer.Claims(doorAudience, "book:*:read", nil)))
		unsigned.Header["kid"], unsigned.Header["typ"] = kid, "at+jwt"
		signed, err := unsigned.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	publicDER, _ := private.PublicKey.Bytes()
	good := sign(nil, nil)
	stranger := servertest.StartIssuer(t)
	strangersKey, _ := stranger.Key()
	now := time.Now()
	cases := map[string]struct{ token, reason string }{
		"expired":                     {sign(map[string]any{"exp": now.Add(-time.Minute).Unix()}, nil), "expired"},
		"not yet valid":               {sign(map[string]any{"nbf": now.Add(time.Hour).Unix()}, nil), "not_yet_valid"},
		"issued in the future":        {sign(map[string]any{"iat": now.Add(time.Hour).Unix()}, nil), "not_yet_valid"},
		"for another":                 {sign(map[string]any{"aud": "https://other.example.com"}, nil), "wrong_audience"},
		"for a longer name":           {sign(map[string]any{"aud": doorAudience + "x"}, nil), "wrong_audience"},
		"for a path below":            {sign(map[string]any{"aud": doorAudience + "/x"}, nil), "wrong_audience"},
		"for a path above":            {sign(map[string]any{"aud": doorAudience + "/x/.."}, nil), "wrong_audience"},
		"for others":                  {sign(map[string]any{"aud": []string{"https://a.example.com", "b"}}, nil), "wrong_audience"},
		"of another issuer":           {sign(map[string]any{"iss": stranger.URL}, nil), "wrong_issuer"},
		"of the issuer with a slash":  {sign(map[string]any{"iss": issuer.URL + "/"}, nil), "wrong_issuer"},
		"with another's key and kid":  {stranger.Sign(issuer.Claims(doorAudience, "book:*:read", nil), nil), "unknown_key"},
		"with another's key":          {withKey(jwt.SigningMethodES256, strangersKey), "bad_signature"},
		"signature of another token":  {good[:strings.LastIndex(good, ".")] + sign(nil, nil)[strings.LastIndex(good, "."):], "bad_signature"},
		"alg none":                    {withKey(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType) + "AA", "wrong_algorithm"},
		"HMAC with the public key":    {withKey(jwt.SigningMethodHS256, publicDER), "wrong_algorithm"},
		"without a signature":         {withKey(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType), "malformed"},
		"typ of an ID token":          {sign(nil, map[string]any{"typ": "JWT"}), "wrong_type"},
		"no typ":                      {sign(nil, map[string]any{"typ": nil}), "wrong_type"},
		"unknown kid":                 {sign(nil, map[string]any{"kid": "other"}), "unknown_key"},
		"another's, without a kid":    {stranger.Sign(issuer.Claims(doorAudience, "book:*:read", nil), map[string]any{"kid": nil}), "bad_signature"},
		"brings its key":              {sign(nil, map[string]any{"jku": stranger.URL + "/jwks"}), "unsupported"},
		"critical extension":          {sign(nil, map[string]any{"crit": []string{"b64"}}), "unsupported"},
		"no exp":                      {sign(map[string]any{"exp": nil}, nil), "bad_claims"},
		"exp as text":                 {sign(map[string]any{"exp": "2099-01-01"}, nil), "bad_claims"},
		"no client":                   {sign(map[string]any{"client_id": nil}, nil), "bad_claims"},
		"line feed in the client":     {sign(map[string]any{"client_id": "a\nb"}, nil), "bad_claims"},
		"not a token":                 {"abc", "malformed"},
		"two parts":                   {"abc.def", "malformed"},
		"four parts":                  {good + ".AA", "malformed"},
		"padded":                      {good + "=", "malformed"},
		"longer than a token can be":  {good[:strings.LastIndex(good, ".")] + "." + strings.Repeat("A", 8<<10), "malformed"},
		"with a part of another kind": {strings.Replace(good, ".", "~.", 1), "malformed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := d.ask("GET", "/", bearer(c.token))
			if got.status != http.StatusUnauthorized || got.member("error") != "invalid_token" || got.reason() != c.reason {
				t.Errorf("%d %s, want reason %s", got.status, got.body, c.reason)
			}
			if !strings.HasPrefix(got.challenge(), `Bearer error="invalid_token", error_description="`) || !strings.HasSuffix(got.challenge(), doorMetadata) {
				t.Errorf("challenge %q", got.challenge())
			}
			checkRefusal(t, d, got, c.token)
		})
	}
	if got := d.ask("GET", "/", bearer(good)); got.status != http.StatusOK {
		t.Errorf("the good one: %d %s", got.status, got.body)
	}
	log := d.Log()
	for name, c := range cases {
		if len(c.token) > 20 && strings.Contains(log, c.token) {
			t.Errorf("%s: the token is in the log", name)
		}
	}
	for _, line := range d.LogLines("http.handlers.m2m_auth") {
		if line["level"] != "debug" {
			t.Errorf("a stranger's fault is logged as %v", line)
		}
	}
}
