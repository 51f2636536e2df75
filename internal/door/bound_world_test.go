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
		Binding: Binding{Proofs: &dpop.Checker{Used: dpop.NewMemory(1000)}},
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
