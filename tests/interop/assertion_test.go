package interop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// assertions is an issuer whose clients have keys, seen by a stranger: requests go over HTTP, and assertions are signed by
// golang-jwt or put together by hand.
type assertions struct {
	*servertest.Server
	t      *testing.T
	issuer string
	secret string // of the client "secretive"
	keys   map[string]*ecdsa.PrivateKey

	requests atomic.Int64
}

// startAssertions has the clients "keyed" and "other" with a key of their own, "disabled" with one that would work, "secretive"
// with a secret, and "keyless" with nothing.
func startAssertions(t *testing.T) *assertions {
	t.Helper()
	a := &assertions{t: t, issuer: servertest.FreeURL(t), secret: registry.NewSecret(), keys: make(map[string]*ecdsa.PrivateKey)}
	var file strings.Builder
	file.WriteString("resources:\n  book:\n    actions: {read: Read a book}\nclients:\n")
	for _, id := range []string{"keyed", "other", "disabled"} {
		a.keys[id] = newECKey(t)
		fmt.Fprintf(&file, "  %s:\n    auth: private_key_jwt\n    disabled: %t\n    jwks: {keys: [%s]}\n%s", id, id == "disabled", publicJWK(t, a.keys[id], id+"-1"), bookGrant)
	}
	fmt.Fprintf(&file, "  secretive:\n    secrets: [{id: s1, sha256: %q}]\n%s  keyless:\n%s", registry.HashSecret(a.secret), bookGrant, bookGrant)
	a.keys["stranger"] = newECKey(t)
	path := servertest.WriteFile(t, t.TempDir(), "registry.yaml", file.String())
	a.Server = servertest.Start(t, fmt.Sprintf(`{
	servers {
		trusted_proxies static 127.0.0.0/8
	}
	m2m {
		issuer %s {
			registry file %s
		}
	}
}
%[1]s {
	m2m_issuer
}
`, a.issuer, path))
	return a
}

const bookGrant = "    grants: [{resource: book, identifiers: [\"*\"], actions: [read]}]\n"

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicJWK(t *testing.T, key *ecdsa.PrivateKey, kid string) string {
	t.Helper()
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"kty": "EC", "crv": "P-256", "kid": %q, "x": %q, "y": %q}`, kid, encode(point[1:33]), encode(point[33:]))
}

// claims are those of a good assertion of a client, with changes. A nil value removes a claim.
func (a *assertions) claims(client string, changes map[string]any) jwt.MapClaims {
	now := time.Now()
	claims := jwt.MapClaims{
		"iss": client, "sub": client, "aud": a.issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// sign signs claims with the key of a client, under its kid.
func (a *assertions) sign(client string, claims jwt.MapClaims) string {
	a.t.Helper()
	unsigned := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	unsigned.Header["kid"] = client + "-1"
	signed, err := unsigned.SignedString(a.keys[client])
	if err != nil {
		a.t.Fatal(err)
	}
	return signed
}

// good is an assertion that the issuer accepts.
func (a *assertions) good(client string) string { return a.sign(client, a.claims(client, nil)) }

// reply is an answer, without what differs from answer to answer.
type reply struct {
	status int
	header string
	body   string
}

func (r reply) code() string {
	var body struct{ Error string }
	_ = json.Unmarshal([]byte(r.body), &body)
	return body.Error
}

// post sends a form to an endpoint of the issuer.
func (a *assertions) post(path string, form url.Values, headers ...string) reply {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	n := a.requests.Add(1) // each from another network, so that none is slowed down for the failures before it
	request.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.1", n/256, n%256))
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	response.Header.Del("Date")
	var header strings.Builder
	_ = response.Header.Write(&header)
	return reply{response.StatusCode, header.String(), servertest.Body(a.t, response)}
}

// ask asks for a token with an assertion, and whatever else a test adds.
func (a *assertions) ask(assertion string, more ...string) reply {
	a.t.Helper()
	form := url.Values{
		"grant_type": {"client_credentials"}, "scope": {"book:*:read"}, "client_assertion_type": {jwtBearer}, "client_assertion": {assertion},
	}
	for n := 0; n < len(more); n += 2 {
		form.Add(more[n], more[n+1])
	}
	return a.post("/oauth2/token", form)
}

// byHand puts a token together whose signature is whatever the test says.
func byHand(header string, claims jwt.MapClaims, signature string) string {
	body, _ := json.Marshal(claims)
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode(body) + "." + signature
}

// TestAssertionsOfStrangers sends what a stranger could try, and expects the same answer to all of it: byte for byte that to
// a client that does not exist.
func TestAssertionsOfStrangers(t *testing.T) {
	a := startAssertions(t)
	if got := a.ask(a.good("keyed")); got.status != http.StatusOK {
		t.Fatalf("a good assertion: %d %s", got.status, got.body)
	}
	used := a.good("keyed")
	if got := a.ask(used, "client_id", "keyed"); got.status != http.StatusOK {
		t.Fatalf("a good assertion with client_id: %d %s", got.status, got.body)
	}
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	with := func(changes map[string]any) string { return a.sign("keyed", a.claims("keyed", changes)) }
	signedBy := func(key, kid string) string {
		unsigned := jwt.NewWithClaims(jwt.SigningMethodES256, a.claims("keyed", nil))
		if unsigned.Header["kid"] = kid; kid == "" {
			delete(unsigned.Header, "kid")
		}
		signed, _ := unsigned.SignedString(a.keys[key])
		return signed
	}
	hs256 := jwt.NewWithClaims(jwt.SigningMethodHS256, a.claims("keyed", nil))
	hs256.Header["kid"] = "keyed-1"
	withPublicKey, _ := hs256.SignedString([]byte(publicJWK(t, a.keys["keyed"], "keyed-1")))
	a.keys["nobody"] = a.keys["stranger"]

	want := a.ask(a.good("nobody"))
	if want.status != http.StatusUnauthorized || want.code() != "invalid_client" {
		t.Fatalf("a client that does not exist: %d %s", want.status, want.body)
	}
	var asking sync.WaitGroup
	for name, raw := range map[string]string{
		"replayed":                    used,
		"another audience":            with(map[string]any{"aud": "https://other.example.com"}),
		"issuer as an array":          with(map[string]any{"aud": []string{a.issuer}}),
		"issuer and another":          with(map[string]any{"aud": []string{a.issuer, "https://other.example.com"}}),
		"the token endpoint":          with(map[string]any{"aud": a.issuer + "/oauth2/token"}),
		"no audience":                 with(map[string]any{"aud": nil}),
		"expired":                     with(map[string]any{"exp": in(-5 * time.Minute)}),
		"years ahead":                 with(map[string]any{"exp": in(3 * 365 * 24 * time.Hour)}),
		"no exp":                      with(map[string]any{"exp": nil}),
		"from the future":             with(map[string]any{"iat": in(time.Hour), "nbf": in(time.Hour), "exp": in(59 * time.Minute)}),
		"no jti":                      with(map[string]any{"jti": nil}),
		"sub differs from iss":        with(map[string]any{"sub": "other"}),
		"iss differs from sub":        with(map[string]any{"iss": "other"}),
		"iss is the issuer":           with(map[string]any{"iss": a.issuer}),
		"no sub":                      with(map[string]any{"sub": nil}),
		"no iss":                      with(map[string]any{"iss": nil}),
		"another client's key":        signedBy("other", "keyed-1"),
		"another client's kid":        signedBy("other", "other-1"),
		"a stranger's key":            signedBy("stranger", ""),
		"HS256 with the public key":   withPublicKey,
		"alg none":                    byHand(`{"alg":"none","typ":"JWT"}`, a.claims("keyed", nil), ""),
		"alg none with a signature":   byHand(`{"alg":"none","typ":"JWT"}`, a.claims("keyed", nil), "AA"),
		"its key in the header":       byHand(`{"alg":"ES256","jwk":`+publicJWK(t, a.keys["stranger"], "keyed-1")+`}`, a.claims("keyed", nil), strings.Repeat("A", 86)),
		"zeros for a signature":       byHand(`{"alg":"ES256","kid":"keyed-1"}`, a.claims("keyed", nil), strings.Repeat("A", 86)),
		"a disabled client":           a.good("disabled"),
		"a disabled client, by guess": a.sign("stranger", a.claims("disabled", nil)),
		"a client with a secret":      a.sign("stranger", a.claims("secretive", nil)),
		"a client without keys":       a.sign("stranger", a.claims("keyless", nil)),
		"an unknown trusted issuer":   a.sign("stranger", a.claims("https://token.actions.githubusercontent.com", nil)),
		"not a JWT":                   "x",
		"large claims":                with(map[string]any{"padding": strings.Repeat("x", 20<<10)}),
	} {
		asking.Go(func() { // refusals take their time
			if got := a.ask(raw); got != want {
				t.Errorf("%s: %d %s\n%swant %d %s\n%s", name, got.status, got.body, got.header, want.status, want.body, want.header)
			}
			if got := a.ask(raw, "client_id", "keyed"); got != want {
				t.Errorf("%s, with client_id: %d %s", name, got.status, got.body)
			}
		})
	}
	asking.Wait()
	if got := a.ask(a.good("keyed"), "client_id", "other"); got != want {
		t.Errorf("client_id of another client: %d %s", got.status, got.body)
	}
	if got := a.ask(a.good("other")); got.status != http.StatusOK {
		t.Errorf("afterwards, another client: %d %s", got.status, got.body)
	}
}

// TestAssertionsAtTheWire sends requests whose form is wrong. These answers do not depend on the client.
func TestAssertionsAtTheWire(t *testing.T) {
	a := startAssertions(t)
	for name, c := range map[string]struct {
		got    reply
		status int
		code   string
	}{
		"two assertions":      {a.ask(a.good("keyed"), "client_assertion", a.good("keyed")), http.StatusBadRequest, "invalid_request"},
		"a secret beside it":  {a.ask(a.good("keyed"), "client_id", "secretive", "client_secret", a.secret), http.StatusBadRequest, "invalid_request"},
		"Basic beside it":     {a.basic(a.good("keyed")), http.StatusBadRequest, "invalid_request"},
		"no type":             {a.ask(a.good("keyed"), "client_assertion_type", "x"), http.StatusBadRequest, "invalid_request"},
		"64 KiB of claims":    {a.ask(a.sign("keyed", a.claims("keyed", map[string]any{"x": strings.Repeat("x", 64<<10)}))), http.StatusRequestEntityTooLarge, "invalid_request"},
		"in the URL":          {a.post("/oauth2/token?client_assertion=x", url.Values{"grant_type": {"client_credentials"}}), http.StatusBadRequest, "invalid_request"},
		"a secret of a keyed": {a.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"keyed"}, "client_secret": {a.secret}}), http.StatusUnauthorized, "invalid_client"},
	} {
		if c.got.status != c.status || c.got.code() != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, c.got.status, c.got.body, c.status, c.code)
		}
	}
	for line := range strings.Lines(a.Log()) {
		if strings.Contains(line, "eyJ") {
			t.Errorf("the log shows an assertion: %s", line)
		}
	}
}

func (a *assertions) basic(assertion string) reply {
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {jwtBearer}, "client_assertion": {assertion}}
	credentials := base64.StdEncoding.EncodeToString([]byte("secretive:" + a.secret))
	return a.post("/oauth2/token", form, "Authorization", "Basic "+credentials)
}
