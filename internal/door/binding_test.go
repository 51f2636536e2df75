package door

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/clientcert"
	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

const boundAudience = "https://api.example.com"

// keyIssuer is an issuer with one key. It has revoked nothing.
type keyIssuer struct{ keys *token.KeySet }

func (i keyIssuer) KeySet(context.Context, string) (*token.KeySet, error)        { return i.keys, nil }
func (keyIssuer) Scopes(context.Context, string) ([]string, error)               { return nil, nil }
func (keyIssuer) ScopesRevision() string                                         { return "" }
func (keyIssuer) IsRevoked(context.Context, *token.Claims, string) (bool, error) { return false, nil }
func (keyIssuer) RevokedSince(context.Context, *token.Claims, string) (bool, error) {
	return false, nil
}

// proxyHost is a host whose peers are trusted proxies if they have this address.
type proxyHost struct{ testHost }

const proxyAddress = "192.0.2.7:443"

func (proxyHost) TrustedProxy(r *http.Request) bool { return r.RemoteAddr == proxyAddress }

// boundWorld has an issuer, its tokens, and certificates of clients.
type boundWorld struct {
	testing.TB
	issuer, client, thief *token.SigningKey
	certA, certB          *x509.Certificate
}

func newBoundWorld(tb testing.TB) *boundWorld {
	key := func() *token.SigningKey {
		k, err := token.GenerateKey(token.ES256)
		if err != nil {
			tb.Fatal(err)
		}
		return k
	}
	return &boundWorld{tb, key(), key(), key(), testCertificate(tb), testCertificate(tb)}
}

func testCertificate(tb testing.TB) *x509.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return certificate
}

// door makes a door with a memory for tokens.
func (w *boundWorld) door(change func(*Config)) *Door {
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		w.Fatal(err)
	}
	c := Config{
		Issuers: []*TrustedIssuer{{
			Issuer: keyIssuer{token.NewKeySet(w.issuer)}, Memory: token.NewMemory(1 << 20), Metrics: m.Door(testIssuer),
			Expect: token.Expect{Issuer: testIssuer, Audiences: []string{boundAudience}},
		}},
		Audience: []string{boundAudience}, Host: proxyHost{}, Logger: zap.NewNop(), Metrics: m.Door(""),
		Binding: Binding{Proofs: &dpop.Checker{Used: dpop.NewMemory(1000), Leeway: dpop.DefaultLeeway}},
	}
	if change != nil {
		change(&c)
	}
	d, err := New(c)
	if err != nil {
		w.Fatal(err)
	}
	return d
}

func (w *boundWorld) token(bound token.Confirmation) string {
	claims, err := token.Mint{
		Issuer: testIssuer, ClientID: "bot", ID: token.NewID(), Audience: []string{boundAudience}, Scope: "book:*:read",
		IssuedAt: time.Now(), TTL: time.Hour, Confirmation: bound,
	}.Claims()
	if err != nil {
		w.Fatal(err)
	}
	raw, err := w.issuer.Sign(claims)
	if err != nil {
		w.Fatal(err)
	}
	return raw
}

// proof signs a proof for GET https://api.example.com/books and a token.
func (w *boundWorld) proof(key *token.SigningKey, raw string, change func(*token.Proof)) string {
	hash := sha256.Sum256([]byte(raw))
	p := token.Proof{
		ID: token.NewID(), Method: http.MethodGet, URL: boundAudience + "/books", IssuedAt: time.Now(),
		TokenHash: base64.RawURLEncoding.EncodeToString(hash[:]),
	}
	if change != nil {
		change(&p)
	}
	text, err := key.SignProof(p)
	if err != nil {
		w.Fatal(err)
	}
	return text
}

func thumbprintOf(c *x509.Certificate) string {
	return (&clientcert.Certificate{Raw: c.Raw}).Thumbprint()
}

func headerOf(c *x509.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(c.Raw) + ":"
}

// sent is a request over TLS.
func sent(authorization string, certificate *x509.Certificate, fields ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, boundAudience+"/books", nil)
	r.TLS = new(tls.ConnectionState)
	if certificate != nil {
		r.TLS.PeerCertificates = []*x509.Certificate{certificate}
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	for n := 0; n < len(fields); n += 2 {
		if fields[n] == "from" {
			r.RemoteAddr = fields[n+1]
			continue
		}
		r.Header.Add(fields[n], fields[n+1])
	}
	return r
}

// ask returns the answer to a request, and the request that the upstream got, nil if it got none.
func ask(tb testing.TB, d *Door, r *http.Request) (*httptest.ResponseRecorder, *http.Request) {
	tb.Helper()
	var upstream *http.Request
	answer := httptest.NewRecorder()
	err := d.ServeHTTP(answer, r, handlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		upstream = r
		w.WriteHeader(http.StatusNoContent)
		return nil
	}))
	if err != nil {
		tb.Fatal(err)
	}
	return answer, upstream
}

// wantAnswer checks the answer of a door: "" for a request that was let through, or the reason of its refusal.
func wantAnswer(tb testing.TB, d *Door, r *http.Request, reason string) *httptest.ResponseRecorder {
	tb.Helper()
	answer, upstream := ask(tb, d, r)
	if passed := upstream != nil; passed != (reason == "") {
		tb.Errorf("%d %s, want reason %q", answer.Code, answer.Body, reason)
	}
	if reason != "" && !strings.Contains(answer.Body.String(), `"reason":"`+reason+`"`) {
		tb.Errorf("%d %s, want reason %q", answer.Code, answer.Body, reason)
	}
	return answer
}

// TestStolenTokens: a token that is bound to a key is of no use without the proof of that key, at a door with any setting, also
// right after its owner has used it there.
func TestStolenTokens(t *testing.T) {
	w := newBoundWorld(t)
	plain := w.token(token.Confirmation{})
	byCert := w.token(token.Confirmation{X5TS256: thumbprintOf(w.certA)})
	byKey := w.token(token.Confirmation{JKT: w.client.ID()})
	byBoth := w.token(token.Confirmation{JKT: w.client.ID(), X5TS256: thumbprintOf(w.certA)})
	proof := func(raw string) string { return w.proof(w.client, raw, nil) }
	later := func(p *token.Proof) { p.IssuedAt = p.IssuedAt.Add(-10 * time.Minute) }
	with := func(change func(*token.Proof)) string { return w.proof(w.client, byKey, change) }
	const client, fake = "Client-Cert", "Client_Cert"
	for _, test := range []struct {
		name   string
		r      *http.Request
		reason string
	}{
		{"plain", sent("Bearer "+plain, nil), ""},
		{"plain, with a certificate", sent("Bearer "+plain, w.certA), ""},
		{"plain, with a proof that nobody needs", sent("Bearer "+plain, nil, "DPoP", "x"), ""},
		{"plain, by the scheme DPoP", sent("DPoP "+plain, nil, "DPoP", proof(plain)), "not_bound"},

		{"the certificate", sent("Bearer "+byCert, w.certA), ""},
		{"the certificate again", sent("Bearer "+byCert, w.certA), ""},
		{"another certificate", sent("Bearer "+byCert, w.certB), "wrong_certificate"},
		{"no certificate", sent("Bearer "+byCert, nil), "missing_certificate"},
		{"no TLS", func() *http.Request { r := sent("Bearer "+byCert, nil); r.TLS = nil; return r }(), "missing_certificate"},
		{"the header of a stranger", sent("Bearer "+byCert, nil, client, headerOf(w.certA)), "missing_certificate"},
		{"the header of a stranger with a certificate", sent("Bearer "+byCert, w.certB, client, headerOf(w.certA)), "wrong_certificate"},
		{"the header in another spelling", sent("Bearer "+byCert, w.certB, fake, headerOf(w.certA)), "wrong_certificate"},
		{"the header of a proxy where it is not enabled", sent("Bearer "+byCert, nil, client, headerOf(w.certA), "from", proxyAddress), "missing_certificate"},
		{"the certificate, by the scheme DPoP", sent("DPoP "+byCert, w.certA, "DPoP", proof(byCert)), "not_bound"},

		{"the key", sent("DPoP "+byKey, nil, "DPoP", proof(byKey)), ""},
		{"as a bearer token", sent("Bearer "+byKey, nil), "missing_proof"},
		{"as a bearer token with a proof", sent("Bearer "+byKey, nil, "DPoP", proof(byKey)), "missing_proof"},
		{"no proof", sent("DPoP "+byKey, nil), "missing_proof"},
		{"an empty proof", sent("DPoP "+byKey, nil, "DPoP", ""), "proof_malformed"},
		{"two proofs", sent("DPoP "+byKey, nil, "DPoP", proof(byKey), "DPoP", proof(byKey)), "proof_several_proofs"},
		{"the proof of another key", sent("DPoP "+byKey, nil, "DPoP", w.proof(w.thief, byKey, nil)), "wrong_key"},
		{"the proof for another token", sent("DPoP "+byKey, nil, "DPoP", proof(plain)), "proof_wrong_token"},
		{"the proof of a token request", sent("DPoP "+byKey, nil, "DPoP", with(func(p *token.Proof) { p.TokenHash = "" })), "proof_wrong_token"},
		{"another method", sent("DPoP "+byKey, nil, "DPoP", with(func(p *token.Proof) { p.Method = "POST" })), "proof_wrong_method"},
		{"another path", sent("DPoP "+byKey, nil, "DPoP", with(func(p *token.Proof) { p.URL += "/1" })), "proof_wrong_url"},
		{"another host", sent("DPoP "+byKey, nil, "DPoP", with(func(p *token.Proof) { p.URL = "https://other.example.com/books" })), "proof_wrong_url"},
		{"another host that a stranger names", sent("DPoP "+byKey, nil, "X-Forwarded-Host", "other.example.com",
			"DPoP", with(func(p *token.Proof) { p.URL = "https://other.example.com/books" })), "proof_wrong_url"},
		{"another scheme", sent("DPoP "+byKey, nil, "DPoP", with(func(p *token.Proof) { p.URL = "http://api.example.com/books" })), "proof_wrong_url"},
		{"an old proof", sent("DPoP "+byKey, nil, "DPoP", with(later)), "proof_expired"},
		{"the certificate of another", sent("Bearer "+byKey, w.certA), "missing_proof"},

		{"both", sent("DPoP "+byBoth, w.certA, "DPoP", proof(byBoth)), ""},
		{"both, without the certificate", sent("DPoP "+byBoth, nil, "DPoP", proof(byBoth)), "missing_certificate"},
		{"both, another certificate", sent("DPoP "+byBoth, w.certB, "DPoP", proof(byBoth)), "wrong_certificate"},
		{"both, without the proof", sent("DPoP "+byBoth, w.certA), "missing_proof"},
		{"both, as a bearer token", sent("Bearer "+byBoth, w.certA), "missing_proof"},
		{"both, another key", sent("DPoP "+byBoth, w.certA, "DPoP", w.proof(w.thief, byBoth, nil)), "wrong_key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := w.door(nil)
			fresh := test.r.Clone(t.Context())
			answer := wantAnswer(t, d, test.r, test.reason)
			if test.reason == "" {
				return
			}
			scheme := "Bearer "
			if strings.Contains(fresh.Header.Get("Authorization"), byKey) || strings.Contains(fresh.Header.Get("Authorization"), byBoth) ||
				strings.HasPrefix(fresh.Header.Get("Authorization"), "DPoP") {
				scheme = "DPoP "
			}
			challenge := answer.Header().Get("WWW-Authenticate")
			code := "invalid_token"
			if strings.HasPrefix(test.reason, "proof_") {
				code = "invalid_dpop_proof"
			}
			if answer.Code != http.StatusUnauthorized || !strings.HasPrefix(challenge, scheme+`error="`+code+`"`) ||
				strings.Contains(challenge, "algs=") != (scheme == "DPoP ") {
				t.Errorf("%d %s", answer.Code, challenge)
			}
			// The owner uses the token. The thief is refused as before.
			wantAnswer(t, d, sent("Bearer "+byCert, w.certA), "")
			wantAnswer(t, d, sent("DPoP "+byKey, nil, "DPoP", proof(byKey)), "")
			wantAnswer(t, d, sent("DPoP "+byBoth, w.certA, "DPoP", proof(byBoth)), "")
			wantAnswer(t, d, fresh, test.reason)
		})
	}
}

// TestProofsAreUsedOnce: a proof that was seen lets in nobody, also with the same token.
func TestProofsAreUsedOnce(t *testing.T) {
	w := newBoundWorld(t)
	d := w.door(nil)
	raw := w.token(token.Confirmation{JKT: w.client.ID()})
	proof := w.proof(w.client, raw, nil)
	for n := range 3 {
		want := ""
		if n > 0 {
			want = "proof_replayed"
		}
		wantAnswer(t, d, sent("DPoP "+raw, nil, "DPoP", proof), want)
	}
	noProofs := w.door(func(c *Config) { c.Binding.Proofs = nil })
	wantAnswer(t, noProofs, sent("DPoP "+raw, nil, "DPoP", w.proof(w.client, raw, nil)), "sender_constrained")
}

// TestNonces: a door that wants nonces sends one, and takes a proof with it.
func TestNonces(t *testing.T) {
	w := newBoundWorld(t)
	d := w.door(func(c *Config) { c.Binding.Proofs.Nonces = dpop.NewNonces("door") })
	raw := w.token(token.Confirmation{JKT: w.client.ID()})
	refused := wantAnswer(t, d, sent("DPoP "+raw, nil, "DPoP", w.proof(w.client, raw, nil)), "use_dpop_nonce")
	nonce := refused.Header().Get("DPoP-Nonce")
	if !strings.HasPrefix(refused.Header().Get("WWW-Authenticate"), `DPoP error="use_dpop_nonce"`) || nonce == "" {
		t.Errorf("%v", refused.Header())
	}
	wantAnswer(t, d, sent("DPoP "+raw, nil, "DPoP", w.proof(w.client, raw, func(p *token.Proof) { p.Nonce = nonce })), "")
}

// TestRequiredBinding: a door that requires binding refuses all other tokens, and says which it wants.
func TestRequiredBinding(t *testing.T) {
	w := newBoundWorld(t)
	plain := w.token(token.Confirmation{})
	byCert := w.token(token.Confirmation{X5TS256: thumbprintOf(w.certA)})
	byKey := w.token(token.Confirmation{JKT: w.client.ID()})
	byBoth := w.token(token.Confirmation{JKT: w.client.ID(), X5TS256: thumbprintOf(w.certA)})
	for _, test := range []struct {
		required         []string
		plain, cert, key string // the reasons
		missing          string // the challenge of a request without a token
	}{
		{nil, "", "", "", `Bearer realm="protected resource"`},
		{[]string{"dpop"}, "not_bound", "not_bound", "", `DPoP algs="`},
		{[]string{"mtls"}, "not_bound", "", "not_bound", `Bearer realm="protected resource"`},
		{[]string{"dpop", "mtls"}, "not_bound", "", "", `Bearer realm="protected resource", DPoP algs="`},
	} {
		t.Run(strings.Join(test.required, " "), func(t *testing.T) {
			d := w.door(func(c *Config) { c.Binding.Required, c.NoMetadata = test.required, true })
			wantAnswer(t, d, sent("Bearer "+plain, w.certA), test.plain)
			wantAnswer(t, d, sent("Bearer "+byCert, w.certA), test.cert)
			wantAnswer(t, d, sent("DPoP "+byKey, nil, "DPoP", w.proof(w.client, byKey, nil)), test.key)
			wantAnswer(t, d, sent("DPoP "+byBoth, w.certA, "DPoP", w.proof(w.client, byBoth, nil)), "")
			wantAnswer(t, d, sent("DPoP "+byBoth, w.certB, "DPoP", w.proof(w.client, byBoth, nil)), "wrong_certificate")
			missing := wantAnswer(t, d, sent("", w.certA), "missing_token")
			if got := missing.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, test.missing) || !strings.Contains(test.missing, "algs") && got != test.missing {
				t.Errorf("%s, want %s", got, test.missing)
			}
		})
	}
	for _, bad := range [][]string{{"x"}, {""}, {"dpop", "dpop"}, {"DPoP"}} {
		if err := CheckBound(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// TestCertificateFromProxy: with the header enabled, what a trusted proxy sends counts, and nothing else.
func TestCertificateFromProxy(t *testing.T) {
	w := newBoundWorld(t)
	raw := "Bearer " + w.token(token.Confirmation{X5TS256: thumbprintOf(w.certA)})
	a, b := headerOf(w.certA), headerOf(w.certB)
	d := w.door(func(c *Config) { c.Binding.Certificates.Header = clientcert.DefaultHeader })
	for range 2 { // the second time with the token in the memory
		wantAnswer(t, d, sent(raw, nil, "Client-Cert", a, "from", proxyAddress), "")
		wantAnswer(t, d, sent(raw, w.certA, "Client-Cert", b, "from", proxyAddress), "wrong_certificate")
		wantAnswer(t, d, sent(raw, w.certA, "from", proxyAddress), "missing_certificate") // it is that of the proxy
		wantAnswer(t, d, sent(raw, nil, "Client-Cert", a), "missing_certificate")
		wantAnswer(t, d, sent(raw, w.certB, "Client-Cert", a), "wrong_certificate")
		wantAnswer(t, d, sent(raw, w.certA, "Client-Cert", b), "")
	}
	for _, malformed := range [][]string{{"Client-Cert", "x"}, {"Client-Cert", a, "Client-Cert", b}, {"Client-Cert", a + ", " + b}} {
		answer := wantAnswer(t, d, sent(raw, nil, append(malformed, "from", proxyAddress)...), "malformed_certificate")
		if answer.Code != http.StatusBadRequest {
			t.Errorf("%d", answer.Code)
		}
	}
}

// TestUpstreamGetsNoForgedCertificate: a stranger's header with a certificate never reaches the upstream, in no spelling, also on
// a public route.
func TestUpstreamGetsNoForgedCertificate(t *testing.T) {
	w := newBoundWorld(t)
	plain := "Bearer " + w.token(token.Confirmation{})
	d := w.door(func(c *Config) {
		c.Public = []*PublicRoute{{Path: "/public"}}
		c.Binding.Certificates.Header = "X-Tls-Cert"
	})
	for _, path := range []string{"/books", "/public"} {
		for _, spelling := range []string{"Client-Cert", "Client-Cert-Chain", "client_cert", "CLIENT.CERT", "X-Tls-Cert", "x_tls_cert"} {
			for _, from := range []string{"198.51.100.1:5", proxyAddress} {
				r := sent(plain, w.certB, "from", from)
				r.URL.Path = path
				r.Header[spelling] = []string{headerOf(w.certA)}
				r.Header.Set("Connection", "client-cert, x")
				_, upstream := ask(t, d, r)
				if upstream == nil {
					t.Fatalf("%s is refused", path)
				}
				_, kept := upstream.Header[spelling]
				if want := from == proxyAddress && http.CanonicalHeaderKey(spelling) == spelling; kept != want {
					t.Errorf("%s %s from %s: kept %v", path, spelling, from, kept)
				}
				if strings.Contains(upstream.Header.Get("Connection"), "client-cert") {
					t.Error("Connection names the header")
				}
			}
		}
	}
}

// TestUpstreamGetsNoProof: a proof goes on only with a token that needed it, and only with KeepToken.
func TestUpstreamGetsNoProof(t *testing.T) {
	w := newBoundWorld(t)
	plain, byKey := w.token(token.Confirmation{}), w.token(token.Confirmation{JKT: w.client.ID()})
	for _, keep := range []bool{false, true} {
		d := w.door(func(c *Config) { c.KeepToken, c.Public = keep, []*PublicRoute{{Path: "/public"}} })
		bound := sent("DPoP "+byKey, nil, "DPoP", w.proof(w.client, byKey, nil))
		public := sent("DPoP "+byKey, nil, "DPoP", w.proof(w.client, byKey, nil))
		public.URL.Path = "/public"
		for want, r := range map[bool]*http.Request{keep: bound, false: public} {
			_, upstream := ask(t, d, r)
			if upstream == nil || has(upstream, "DPoP") != want || has(upstream, "Authorization") != want {
				t.Errorf("keep %v: %v", keep, upstream)
			}
		}
		_, upstream := ask(t, d, sent("Bearer "+plain, nil, "DPoP", "x"))
		if upstream == nil || has(upstream, "DPoP") {
			t.Errorf("an unchecked proof reaches the upstream: %v", upstream)
		}
	}
}

// TestReachedAs: a proof is for the URL by which the client has reached the door, as a trusted proxy tells it.
func TestReachedAs(t *testing.T) {
	w := newBoundWorld(t)
	raw := w.token(token.Confirmation{JKT: w.client.ID()})
	for _, test := range []struct {
		name, htu string
		forward   ForwardAuth
		fields    []string
		reason    string
	}{
		{"direct", "https://api.example.com/books?x=y", "", nil, ""},
		{"normalized", "HTTPS://API.example.com:443/%62ooks", "", nil, ""},
		{"a proxy names the host", "https://public.example.com/books", "", []string{"X-Forwarded-Host", "public.example.com", "from", proxyAddress}, ""},
		{"a proxy names the scheme", "http://api.example.com/books", "", []string{"X-Forwarded-Proto", "http", "from", proxyAddress}, ""},
		{"a stranger names the host", "https://public.example.com/books", "", []string{"X-Forwarded-Host", "public.example.com"}, "proof_wrong_url"},
		{"a stranger names the scheme", "http://api.example.com/books", "", []string{"X-Forwarded-Proto", "http"}, "proof_wrong_url"},
		{"forward_auth", "https://public.example.com/x", xForwarded, []string{
			"X-Forwarded-Method", "GET", "X-Forwarded-Host", "public.example.com", "X-Forwarded-Uri", "/x?a=b", "X-Forwarded-Proto", "https"}, ""},
		{"forward_auth, by the original URL", "https://public.example.com/x", xOriginal, []string{
			"X-Original-Method", "GET", "X-Original-Url", "https://public.example.com/x?a=b"}, ""},
		{"forward_auth, another scheme", "https://public.example.com/x", xOriginal, []string{
			"X-Original-Method", "GET", "X-Original-Url", "http://public.example.com/x", "X-Forwarded-Proto", "https"}, "proof_wrong_url"},
		{"forward_auth, the URL of the question", "https://api.example.com/books", xForwarded, []string{
			"X-Forwarded-Method", "GET", "X-Forwarded-Host", "public.example.com", "X-Forwarded-Uri", "/x?a=b", "X-Forwarded-Proto", "https"}, "proof_wrong_url"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := w.door(func(c *Config) { c.ForwardAuth = test.forward })
			proof := w.proof(w.client, raw, func(p *token.Proof) { p.URL = test.htu })
			r := sent("DPoP "+raw, nil, append(test.fields, "DPoP", proof)...)
			answer := httptest.NewRecorder()
			passed := false
			_ = d.ServeHTTP(answer, r, handlerFunc(func(http.ResponseWriter, *http.Request) error { passed = true; return nil }))
			if test.forward != "" {
				passed = answer.Code == http.StatusOK
			}
			if passed != (test.reason == "") || !strings.Contains(answer.Body.String(), test.reason) {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
		})
	}
}

// TestForwardAuthCertificate: a door that answers a proxy takes the certificate from its header alone, never the one of the
// connection, which is that of the proxy. A header that the proxy passes on from a client is refused, because the upstream would
// get it.
func TestForwardAuthCertificate(t *testing.T) {
	w := newBoundWorld(t)
	raw := "Bearer " + w.token(token.Confirmation{X5TS256: thumbprintOf(w.certA)})
	a := headerOf(w.certA)
	for _, test := range []struct {
		name, header string
		certificate  *x509.Certificate
		fields       []string
		reason       string
	}{
		{"the header", "Client-Cert", nil, []string{"Client-Cert", a, "from", proxyAddress}, ""},
		{"the header, and the proxy's certificate", "Client-Cert", w.certB, []string{"Client-Cert", a, "from", proxyAddress}, ""},
		{"the proxy's certificate alone", "Client-Cert", w.certA, []string{"from", proxyAddress}, "missing_certificate"},
		{"the proxy's certificate, no header enabled", "", w.certA, []string{"from", proxyAddress}, "missing_certificate"},
		{"a stranger's certificate", "Client-Cert", w.certA, nil, "missing_certificate"},
		{"the header of a stranger", "Client-Cert", nil, []string{"Client-Cert", a}, "bad_forward_auth"},
		{"the header, not enabled", "", nil, []string{"Client-Cert", a, "from", proxyAddress}, "bad_forward_auth"},
		{"another spelling", "Client-Cert", nil, []string{"Client_Cert", a, "from", proxyAddress}, "bad_forward_auth"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := w.door(func(c *Config) { c.ForwardAuth, c.Binding.Certificates.Header = sameRequest, test.header })
			answer := httptest.NewRecorder()
			if err := d.ServeHTTP(answer, sent(raw, test.certificate, test.fields...), nil); err != nil {
				t.Fatal(err)
			}
			if (answer.Code == http.StatusOK) != (test.reason == "") || !strings.Contains(answer.Body.String(), test.reason) {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
		})
	}
}

// BenchmarkBound compares requests with remembered tokens: a plain one, and one that is bound to the certificate of its
// connection.
func BenchmarkBound(b *testing.B) {
	w := newBoundWorld(b)
	for name, bound := range map[string]token.Confirmation{
		"plain":       {},
		"certificate": {X5TS256: thumbprintOf(w.certA)},
	} {
		b.Run(name, func(b *testing.B) {
			d, raw := w.door(nil), w.token(bound)
			next := handlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
			answer := httptest.NewRecorder()
			base := sent("Bearer "+raw, w.certA, "User-Agent", "bench", "Accept", "*/*")
			b.ReportAllocs()
			for b.Loop() {
				r := base.WithContext(base.Context())
				r.Header = base.Header.Clone()
				if err := d.ServeHTTP(answer, r, next); err != nil || answer.Code != http.StatusOK {
					b.Fatal(err, answer.Code)
				}
			}
		})
	}
}

func has(r *http.Request, field string) bool { return len(r.Header.Values(field)) > 0 }

// TestPolicySeesNoProof: a proof is a credential, which stays out of the policy's input and of the decision log.
func TestPolicySeesNoProof(t *testing.T) {
	for _, name := range []string{"DPoP", "dpop", "X-DPoP-Proof"} {
		if err := CheckPolicyHeaders([]string{name}, nil); err == nil {
			t.Errorf("a policy reads %s", name)
		}
	}
}

// TestBadBinding: settings that contradict each other are an error on load, however they are written.
func TestBadBinding(t *testing.T) {
	for _, change := range []func(*Config){
		func(c *Config) { c.Binding.Required = []string{"tls"} },
		func(c *Config) { c.Binding.Certificates.Header = "a b" },
		func(c *Config) { c.Binding.Certificates.Header = "authorization" },
		func(c *Config) { c.Binding.Certificates.Header = "X_Forwarded_For" },
		func(c *Config) { c.Binding.Required, c.ForwardAuth = []string{"mtls"}, sameRequest },
	} {
		c := Config{Issuers: []*TrustedIssuer{{Expect: token.Expect{Issuer: testIssuer}}}, Audience: []string{"api"}, Host: testHost{}}
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%+v is accepted", c.Binding)
		}
	}
}

// receivingHost is a host that has changed the path of requests, as handle_path does.
type receivingHost struct{ proxyHost }

func (receivingHost) ReceivedURL(r *http.Request) *url.URL {
	return &url.URL{Path: "/api" + r.URL.Path}
}

// TestProofIsForThePathThatWasReceived: directives before the door change the path, and not what the client has signed.
func TestProofIsForThePathThatWasReceived(t *testing.T) {
	w := newBoundWorld(t)
	d := w.door(func(c *Config) { c.Host = receivingHost{} })
	raw := w.token(token.Confirmation{JKT: w.client.ID()})
	for path, reason := range map[string]string{"/api/books": "", "/books": "proof_wrong_url"} {
		proof := w.proof(w.client, raw, func(p *token.Proof) { p.URL = boundAudience + path })
		wantAnswer(t, d, sent("DPoP "+raw, nil, "DPoP", proof), reason)
	}
}
