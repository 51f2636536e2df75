package caddymodule_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// keyWorld is an issuer with clients that have keys.
type keyWorld struct {
	*issuerWorld
	keys map[string]*token.SigningKey // by client
}

const keyGrants = `grants: [{resource: book, identifiers: ["*"], actions: [read]}]`

// keyRegistry is a registry in which each client has the named key. KEYS of a client stands for its own.
const keyRegistry = `resources:
  book: {actions: {read: "", edit: ""}}
clients:
  keyed:
    auth: private_key_jwt
    jwks: KEYS
    ` + keyGrants + `
  other:
    jwks: KEYS
    secrets: [{id: s1, sha256: HASH}]
    ` + keyGrants + `
  off:
    disabled: true
    jwks: KEYS
    ` + keyGrants + `
  over:
    expires: 2020-01-01T00:00:00Z
    jwks: KEYS
    ` + keyGrants + `
  secretly:
    auth: client_secret
    jwks: KEYS
    secrets: [{id: s1, sha256: HASH}]
    ` + keyGrants + `
  keyless:
    secrets: [{id: s1, sha256: HASH}]
    ` + keyGrants + `
`

func newSigningKey(t testing.TB) *token.SigningKey {
	t.Helper()
	key, err := token.GenerateKey(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// startKeys starts an issuer whose registry has clients with new keys.
func startKeys(t testing.TB, settings issuerSettings) *keyWorld {
	t.Helper()
	w := &keyWorld{keys: make(map[string]*token.SigningKey)}
	if settings.registry == "" {
		settings.registry = keyRegistry
	}
	for _, client := range []string{"keyed", "other", "off", "over", "secretly"} {
		w.keys[client] = newSigningKey(t)
		settings.registry = strings.Replace(settings.registry, "jwks: KEYS", "jwks: "+string(token.NewKeySet(w.keys[client]).JWKS()), 1)
	}
	w.issuerWorld = startIssuer(t, settings)
	return w
}

// claims are those of a good assertion of a client with changes. A nil value removes a claim.
func (w *keyWorld) claims(client string, changes map[string]any) []byte {
	now := time.Now()
	c := map[string]any{
		"iss": client, "sub": client, "aud": w.url, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": token.NewID(),
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	data, _ := json.Marshal(c)
	return data
}

// sign signs claims with the key of a client.
func (w *keyWorld) sign(client string, claims []byte) string {
	signed, err := w.keys[client].SignAs("JWT", claims)
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

// assertion is a good assertion of a client.
func (w *keyWorld) assertion(client string) string { return w.sign(client, w.claims(client, nil)) }

// assertForm is a request with an assertion, and with further parameters.
func assertForm(assertion string, more ...string) string {
	values := url.Values{
		"grant_type": {"client_credentials"}, "scope": {"book:1:read"}, "client_assertion_type": {jwtBearer}, "client_assertion": {assertion},
	}
	for i := 0; i < len(more); i += 2 {
		values.Add(more[i], more[i+1])
	}
	return values.Encode()
}

// TestPrivateKeyJWT: a client without a secret gets a token, introspects and revokes it.
func TestPrivateKeyJWT(t *testing.T) {
	w := startKeys(t, issuerSettings{policy: map[string]string{"method.rego": `package m2m.token
claims.method := input.client.auth_method
`}})
	a := w.post(assertForm(w.assertion("keyed")))
	w.granted(a)
	w.granted(w.post(assertForm(w.assertion("keyed"), "client_id", "keyed")))
	w.granted(w.ask("other", "book:1:read"))
	w.granted(w.post(assertForm(w.assertion("other"))))
	w.granted(w.postJSON(fmt.Sprintf(`{"grant_type":"client_credentials","scope":"book:1:read","client_assertion_type":%q,"client_assertion":%q}`, jwtBearer, w.assertion("keyed"))))
	if claims, err := token.Decode(*a.AccessToken); err != nil || claims.Claims["method"] != "private_key_jwt" || claims.Claims["client_id"] != "keyed" {
		t.Errorf("the token has %v, %v", claims, err)
	}
	about := func(endpoint string) tokenAnswer {
		form := assertForm(w.assertion("keyed"), "token", *a.AccessToken)
		return w.do(w.request(http.MethodPost, w.url+"/oauth2/"+endpoint, strings.NewReader(form), "Content-Type", formType))
	}
	if got := about("introspect"); !strings.Contains(got.body, `"active":true`) {
		t.Errorf("introspection: %s", got)
	}
	if got := about("revoke"); got.status != http.StatusOK {
		t.Errorf("revocation: %s", got)
	}
	if got := about("introspect"); !strings.Contains(got.body, `"active":false`) {
		t.Errorf("after the revocation: %s", got)
	}
	if n := w.metric("clients_authenticated_total", `method="private_key_jwt"`); n != "7" {
		t.Errorf("%s clients authenticated with keys", n)
	}
	m := w.get(w.url + "/.well-known/oauth-authorization-server")
	for _, member := range []string{"token", "introspection", "revocation"} {
		if !strings.Contains(m.body, `"`+member+`_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","private_key_jwt"`) ||
			!strings.Contains(m.body, `"`+member+`_endpoint_auth_signing_alg_values_supported":["ES256",`) {
			t.Errorf("the metadata of %s: %s", member, m)
		}
	}
	w.checkLog(w.keys["keyed"].ID())
}

// checkLog checks that the logs name the method and the key, and hold no assertion.
func (w *keyWorld) checkLog(keyID string) {
	w.t.Helper()
	servertest.Eventually(w.t, "the log names the key", func() bool {
		return slices.ContainsFunc(w.LogLines("m2m.decisions"), func(line map[string]any) bool { return line["key_id"] == keyID })
	})
	for line := range strings.Lines(w.Log()) {
		if strings.Contains(line, "eyJhb") {
			w.t.Errorf("the log holds an assertion: %s", line)
		}
	}
}

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// withHeader is an assertion under another header, which breaks its signature.
func withHeader(assertion, header string) string {
	_, rest, _ := strings.Cut(assertion, ".")
	return encoded(header) + "." + rest
}

// TestBadAssertions: each gets the answer that an unknown client gets, byte for byte, and issues nothing.
// Each comes from a network of its own, so that none waits for the failures of the others.
func TestBadAssertions(t *testing.T) {
	w := startKeys(t, issuerSettings{global: behindProxy})
	networks := 0
	elsewhere := func() []string {
		networks++
		return []string{"X-Forwarded-For", fmt.Sprintf("198.51.100.%d", networks)}
	}
	unknown := newSigningKey(t)
	of := func(name string, value any) string {
		return w.sign("keyed", w.claims("keyed", map[string]any{name: value}))
	}
	typed := func(typ string) string {
		signed, err := w.keys["keyed"].SignAs(typ, w.claims("keyed", nil))
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	signedBy := func(key *token.SigningKey, client string) string {
		signed, err := key.SignAs("JWT", w.claims(client, nil))
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	kid := w.keys["keyed"].ID()
	hs256 := encoded(`{"alg":"HS256","kid":"`+kid+`"}`) + "." + encoded(string(w.claims("keyed", nil)))
	mac := hmac.New(sha256.New, token.NewKeySet(w.keys["keyed"]).JWKS())
	mac.Write([]byte(hs256))
	hs256 += "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	replayed := w.assertion("keyed")
	w.granted(w.post(assertForm(replayed)))
	now := time.Now()
	var reference tokenAnswer
	referenced := make(chan struct{}) // is closed when there is the reference, which takes as long as the others
	var wg sync.WaitGroup
	from := elsewhere()
	wg.Go(func() {
		defer close(referenced)
		reference = w.post(assertForm(signedBy(unknown, "unknown")))
		refusedToken(t, reference, http.StatusUnauthorized, "invalid_client")
	})
	wg.Go(func() {
		a := w.post(assertForm(w.assertion("keyed"), "client_id", "other"), from...)
		if <-referenced; a.body != reference.body {
			t.Errorf("another client_id: %s", a)
		}
	})
	wg.Go(func() {
		a := w.ask("keyed", "book:1:read")
		if <-referenced; a.body != reference.body {
			t.Errorf("a secret of a client with a key: %s", a)
		}
	})
	for name, assertion := range map[string]string{
		"another audience":          of("aud", "https://other.example"),
		"the token endpoint":        of("aud", w.tokenURL()),
		"the issuer as an array":    of("aud", []string{w.url}),
		"one of several":            of("aud", []string{w.url, "https://other.example"}),
		"a trailing slash":          of("aud", w.url+"/"),
		"expired":                   of("exp", now.Add(-time.Hour).Unix()),
		"years ahead":               of("exp", now.AddDate(3, 0, 0).Unix()),
		"no exp":                    of("exp", nil),
		"not yet valid":             of("nbf", now.Add(time.Hour).Unix()),
		"issued tomorrow":           of("iat", now.Add(24*time.Hour).Unix()),
		"no jti":                    of("jti", nil),
		"replayed":                  replayed,
		"sub is another":            of("sub", "other"),
		"iss is another":            of("iss", "other"),
		"no sub":                    of("sub", nil),
		"iss as an array":           of("iss", []string{"keyed"}),
		"alg none":                  encoded(`{"alg":"none"}`) + "." + encoded(string(w.claims("keyed", nil))) + ".",
		"alg none and a signature":  withHeader(w.assertion("keyed"), `{"alg":"none","kid":"`+kid+`"}`),
		"HS256 with the public key": hs256,
		"another client's key":      signedBy(w.keys["other"], "keyed"),
		"a stranger's key":          signedBy(unknown, "keyed"),
		"another client":            signedBy(w.keys["keyed"], "other"),
		"an unknown client":         signedBy(w.keys["keyed"], "unknown"),
		"an impossible client":      signedBy(w.keys["keyed"], "not a client"),
		"a disabled client":         w.assertion("off"),
		"an expired client":         w.assertion("over"),
		"a client without keys":     signedBy(unknown, "keyless"),
		"a client with a secret":    w.assertion("secretly"),
		"a changed signature":       w.assertion("keyed")[:len(replayed)-8] + "AAAAAAAA",
		"16 KiB of claims":          of("x", strings.Repeat("x", 16<<10)),
		"duplicate members":         w.sign("keyed", []byte(strings.Replace(string(w.claims("keyed", nil)), "{", `{"sub":"keyed",`, 1))),
		"an access token":           typed("at+jwt"),
		"a grant":                   typed("authorization-grant+jwt"),
		"an unknown kid":            withHeader(w.assertion("keyed"), `{"alg":"ES256","kid":"x"}`),
		"jku":                       withHeader(w.assertion("keyed"), `{"alg":"ES256","kid":"`+kid+`","jku":"http://127.0.0.1/"}`),
		"x5u":                       withHeader(w.assertion("keyed"), `{"alg":"ES256","kid":"`+kid+`","x5u":"http://127.0.0.1/"}`),
		"jwk":                       withHeader(w.assertion("keyed"), `{"alg":"ES256","jwk":{"kty":"EC"}}`),
		"not a JWT":                 "x",
		"a JWE":                     "e30.e30.e30.e30.e30",
	} {
		from := elsewhere()
		wg.Go(func() {
			a := w.post(assertForm(assertion), from...)
			if <-referenced; a.status != reference.status || a.body != reference.body || fmt.Sprint(a.header["Www-Authenticate"]) != fmt.Sprint(reference.header["Www-Authenticate"]) {
				t.Errorf("%s: %s, want %s", name, a, reference)
			}
		})
	}
	wg.Wait()
	for name, form := range map[string]string{
		"two assertions":           assertForm(w.assertion("keyed"), "client_assertion", w.assertion("keyed")),
		"assertion and secret":     assertForm(w.assertion("other"), "client_id", "other", "client_secret", w.secret),
		"a type without assertion": "grant_type=client_credentials&client_assertion_type=" + jwtBearer,
		"an assertion, untyped":    "grant_type=client_credentials&client_assertion=" + w.assertion("keyed"),
	} {
		a := w.post(form)
		if refusedToken(t, a, http.StatusBadRequest, "invalid_request"); a.DecisionID != "" {
			t.Errorf("%s: %s", name, a)
		}
	}
	refusedToken(t, w.post(assertForm(of("x", strings.Repeat("x", 64<<10)))), http.StatusRequestEntityTooLarge, "invalid_request")
	refusedToken(t, w.ask("secretly", "book:1:read", "client_assertion_type", jwtBearer, "client_assertion", w.assertion("secretly")), 400, "invalid_request")
	w.granted(w.ask("secretly", "book:1:read"))
	w.granted(w.post(assertForm(w.assertion("keyed")))) // a right one is never slowed down for what others did
	servertest.Eventually(t, "the reasons are logged", func() bool {
		log := w.Log()
		return strings.Contains(log, "assertion_replayed") && strings.Contains(log, "assertion_wrong_audience")
	})
	if strings.Contains(w.Log(), "eyJhb") {
		t.Error("the log holds an assertion")
	}
}

// TestAssertionIsUsedOnce: of many concurrent requests with one assertion, one gets a token. A reload forgets nothing.
func TestAssertionIsUsedOnce(t *testing.T) {
	w := startKeys(t, issuerSettings{})
	for _, client := range []string{"keyed", "other"} {
		form := assertForm(w.assertion(client))
		var granted atomic.Int32
		var wg sync.WaitGroup
		for range 9 { // fewer failures than are slowed down
			wg.Go(func() {
				if a := w.post(form); a.status == http.StatusOK {
					granted.Add(1)
				} else if a.status != http.StatusUnauthorized && a.status != http.StatusTooManyRequests {
					t.Error(a)
				}
			})
		}
		wg.Wait()
		if granted.Load() != 1 {
			t.Errorf("%d requests got a token", granted.Load())
		}
	}
	form := assertForm(w.assertion("other"))
	w.granted(w.post(form))
	if err := w.Load(w.caddyfile() + "# reloaded\n"); err != nil {
		t.Fatal(err)
	}
	refusedToken(t, w.post(form), http.StatusUnauthorized, "invalid_client")
}

// TestAuthMethods: an issuer takes only the methods of its config, and says so.
func TestAuthMethods(t *testing.T) {
	w := startKeys(t, issuerSettings{options: "auth_methods private_key_jwt\nassertion_audience token_endpoint"})
	w.granted(w.post(assertForm(w.assertion("other"))))
	w.granted(w.post(assertForm(w.sign("keyed", w.claims("keyed", map[string]any{"aud": w.tokenURL()})))))
	refusedToken(t, w.post(assertForm(w.sign("keyed", w.claims("keyed", map[string]any{"aud": []string{w.url, w.tokenURL()}})))), 401, "invalid_client")
	for _, client := range []string{"other", "unknown"} {
		a := w.ask(client, "book:1:read")
		if refusedToken(t, a, http.StatusUnauthorized, "invalid_client"); !strings.Contains(a.Description, "not supported") {
			t.Error(a)
		}
	}
	if m := w.get(w.url + "/.well-known/openid-configuration"); !strings.Contains(m.body, `"token_endpoint_auth_methods_supported":["private_key_jwt"]`) {
		t.Errorf("the metadata: %s", m)
	}
	const warning = `"msg":"clients have only credentials that auth_methods excludes"`
	if log := w.Log(); !strings.Contains(log, warning+`,"issuer":"`+w.url+`","client_ids":["keyless","secretly"],"count":2`) {
		t.Errorf("the clients that cannot authenticate are not in the log: %.2000s", log)
	}
	w.writeRegistry("clients:\n  late: {secrets: [{id: s1, sha256: " + registry.HashSecret(w.secret) + "}]}\n")
	servertest.Eventually(t, "the log has a client that came later", func() bool {
		return strings.Contains(w.Log(), `"client_ids":["late"],"count":1`)
	})
}

// TestJWKSURI: the keys of a client are found at its URL, and a new one at once. One that hangs or leads elsewhere refuses its client
// alone, with the answer of an unknown one.
func TestJWKSURI(t *testing.T) {
	var keys atomic.Pointer[token.KeySet]
	var fetches atomic.Int32
	first, second := newSigningKey(t), newSigningKey(t)
	keys.Store(token.NewKeySet(first))
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(rw http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		_, _ = rw.Write(keys.Load().JWKS())
	})
	mux.HandleFunc("/hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/moved", func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "http://localhost:1/", http.StatusFound)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	clients := ""
	for client, at := range map[string]string{
		"good": server.URL + "/good", "hangs": server.URL + "/hangs", "moved": server.URL + "/moved", "inward": "https://169.254.169.254/jwks",
	} {
		clients += fmt.Sprintf("  %s:\n    jwks_uri: %s\n    %s\n", client, at, keyGrants)
	}
	w := startKeys(t, issuerSettings{registry: keyRegistry + clients})
	for _, client := range []string{"good", "hangs", "moved", "inward"} {
		w.keys[client] = first
	}
	w.granted(w.post(assertForm(w.assertion("good"))))
	w.granted(w.post(assertForm(w.assertion("good"))))
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	keys.Store(token.NewKeySet(first, second))
	w.keys["good"] = second
	w.granted(w.post(assertForm(w.assertion("good"))))
	w.keys["good"] = first
	w.granted(w.post(assertForm(w.assertion("good"))))

	// Each refusal takes a second, so all of them are made at once.
	before := fetches.Load()
	refusals := map[string]*tokenAnswer{"hangs": {}, "moved": {}, "inward": {}, "unknown": {}}
	w.keys["unknown"] = first
	var wg sync.WaitGroup
	for client, refusal := range refusals {
		wg.Go(func() { *refusal = w.post(assertForm(w.assertion(client))) })
	}
	for range 3 { // a stranger makes up keys
		wg.Go(func() { w.in(t).granted(w.post(assertForm(w.assertion("good")))) })
		wg.Go(func() { refusedToken(t, w.post(assertForm(w.strange("good"))), 401, "invalid_client") })
		wg.Go(func() { refusedToken(t, w.post(assertForm(w.strange("unknown"))), 401, "invalid_client") })
	}
	wg.Wait()
	for client, refusal := range refusals {
		if refusal.status != 401 || refusal.body != refusals["unknown"].body {
			t.Errorf("%s: %s, want %s", client, refusal, refusals["unknown"])
		}
	}
	if fetches.Load() != before {
		t.Errorf("a stranger caused %d fetches", fetches.Load()-before)
	}
}

// strange is an assertion of a client by an unknown key.
func (w *keyWorld) strange(client string) string {
	signed, err := newSigningKey(w.t).SignAs("JWT", w.claims(client, nil))
	if err != nil {
		w.t.Error(err)
	}
	return signed
}

// TestKeysRotateUnderLoad: while the keys of a client change again and again, an assertion by a key that the registry has is never
// refused, and one by a key that was removed always is, once the change is known.
func TestKeysRotateUnderLoad(t *testing.T) {
	servertest.SkipUnlessLong(t)
	w := startKeys(t, issuerSettings{})
	var current atomic.Pointer[token.SigningKey]
	current.Store(w.keys["keyed"])
	withKeys := func(keys ...*token.SigningKey) {
		w.writeRegistry("resources:\n  book: {actions: {read: \"\"}}\nclients:\n  keyed:\n    jwks: " + string(token.NewKeySet(keys...).JWKS()) + "\n    " + keyGrants + "\n")
	}
	signedBy := func(key *token.SigningKey) string {
		signed, err := key.SignAs("JWT", w.claims("keyed", nil))
		if err != nil {
			t.Error(err)
		}
		return assertForm(signed)
	}
	done, asked := make(chan struct{}), atomic.Int32{}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if a := w.post(signedBy(current.Load())); a.status != http.StatusOK {
					t.Error(a)
					return
				}
				asked.Add(1)
			}
		})
	}
	for range 3 {
		old, next := current.Load(), newSigningKey(t)
		withKeys(old, next)
		servertest.Eventually(t, "the next key works", func() bool { return w.post(signedBy(next)).status == http.StatusOK })
		current.Store(next)
		for before := asked.Load(); asked.Load() < before+6 && !t.Failed(); { // those in flight by the old key end
			time.Sleep(5 * time.Millisecond)
		}
		withKeys(next)
		servertest.Eventually(t, "the old key is refused", func() bool { return w.post(signedBy(old)).status != http.StatusOK })
	}
	close(done)
	wg.Wait()
	t.Logf("%d requests", asked.Load())
}
