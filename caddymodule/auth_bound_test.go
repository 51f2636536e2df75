package caddymodule_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// testPair makes a certificate of localhost with its key.
func testPair(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// pairFiles writes a certificate and its key to files, and returns `<certificate> <key>` for the tls directive.
func pairFiles(t *testing.T, pair tls.Certificate) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate := servertest.WriteFile(t, dir, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	key := servertest.WriteFile(t, dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return certificate + " " + key
}

func thumbprint(pair tls.Certificate) string {
	sum := sha256.Sum256(pair.Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// boundToken is a token with this cnf.
func (d *door) boundToken(cnf map[string]any) string {
	return d.issuer.Sign(d.issuer.Claims(doorAudience, "book:*:read", map[string]any{"cnf": cnf}), nil)
}

// proofFor signs a proof of DPoP for a GET of a URL with a token.
func proofFor(t *testing.T, key *token.SigningKey, url, raw string) string {
	t.Helper()
	hash := sha256.Sum256([]byte(raw))
	proof, err := key.SignProof(token.Proof{
		ID: token.NewID(), Method: http.MethodGet, URL: url, IssuedAt: time.Now(), TokenHash: base64.RawURLEncoding.EncodeToString(hash[:]),
	})
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

// TestBoundTokensOverTLS: over real connections, a token of a remote issuer that is bound to a certificate or to a key of DPoP is
// accepted with it alone. The access log and the metrics tell how tokens were bound, and why they were refused.
func TestBoundTokensOverTLS(t *testing.T) {
	server, a, b := testPair(t), testPair(t), testPair(t)
	site := "{\nmetrics\n}\nhttps://localhost:PORT {\nbind 127.0.0.1\nlog\ntls " + pairFiles(t, server) + " {\nclient_auth {\nmode request\n}\n}\n" +
		"m2m_auth {\nissuer ISSUER\naudience " + doorAudience + "\nrequire GET /books book:*:read\n}\nreverse_proxy UPSTREAM\n}\n"
	d := newDoorSite(t, site)
	_, port, _ := net.SplitHostPort(d.address)
	url := "https://localhost:" + port + "/books"
	roots := x509.NewCertPool()
	roots.AddCert(server.Leaf)
	clientWith := func(pairs ...tls.Certificate) *http.Client {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: pairs}, ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Timeout: doorTimeout, Transport: transport}
	}
	none, withA, withB := clientWith(), clientWith(a), clientWith(b)
	key, err := token.GenerateKey(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	thief, err := token.GenerateKey(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	byCert, byKey := d.boundToken(map[string]any{"x5t#S256": thumbprint(a)}), d.boundToken(map[string]any{"jkt": key.ID()})
	forged := ":" + base64.StdEncoding.EncodeToString(a.Certificate[0]) + ":"
	for _, test := range []struct {
		name, authorization, proof string
		client                     *http.Client
		reason                     string
	}{
		{"certificate", "Bearer " + byCert, "", withA, ""},
		{"certificate, on the same connection", "Bearer " + byCert, "", withA, ""},
		{"another certificate", "Bearer " + byCert, "", withB, "wrong_certificate"},
		{"no certificate", "Bearer " + byCert, "", none, "missing_certificate"},
		{"key", "DPoP " + byKey, proofFor(t, key, url, byKey), none, ""},
		{"another key", "DPoP " + byKey, proofFor(t, thief, url, byKey), none, "wrong_key"},
		{"another URL", "DPoP " + byKey, proofFor(t, key, doorAudience+"/books", byKey), none, "proof_wrong_url"},
		{"no proof", "Bearer " + byKey, "", none, "missing_proof"},
	} {
		t.Run(test.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header{"Authorization": {test.authorization}, "Client-Cert": {forged}}
			if test.proof != "" {
				request.Header.Set("DPoP", test.proof)
			}
			response, err := test.client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			got := answer{response.StatusCode, response.Header, servertest.Body(t, response)}
			if (got.status == http.StatusOK) != (test.reason == "") || got.reason() != test.reason {
				t.Errorf("%d %s, want %q", got.status, got.body, test.reason)
			}
			for _, upstream := range d.upstream.taken() {
				if test.reason != "" || len(upstream.Header["Client-Cert"])+len(upstream.Header["Dpop"])+len(upstream.Header["Authorization"]) > 0 {
					t.Errorf("the upstream got %v", upstream.Header)
				}
			}
		})
	}
	logged := func() (bound, refused []string) {
		for _, line := range d.LogLines("http.log.access") {
			if way, ok := line["m2m_bound"].(string); ok {
				bound = append(bound, way)
			}
			if reason, ok := line["m2m_refused"].(string); ok {
				refused = append(refused, reason)
			}
		}
		return bound, refused
	}
	wantBound, wantRefused := []string{"dpop", "mtls", "mtls"}, []string{"missing_certificate", "missing_proof", "proof_wrong_url", "wrong_certificate", "wrong_key"}
	servertest.Eventually(t, "all requests are logged", func() bool {
		bound, refused := logged()
		return len(bound) == len(wantBound) && len(refused) == len(wantRefused)
	})
	bound, refused := logged()
	slices.Sort(bound) // a line is written after the answer
	slices.Sort(refused)
	if !slices.Equal(bound, wantBound) || !slices.Equal(refused, wantRefused) {
		t.Errorf("the access log has %v and %v", bound, refused)
	}
	log := d.Log()
	for _, secret := range []string{byCert, byKey} {
		if strings.Contains(log, secret[len(secret)-43:]) {
			t.Error("the log has a token")
		}
	}
}

// TestCertificateHeaderOfTrustedProxy: behind a proxy, its header counts if the door and the server say so.
func TestCertificateHeaderOfTrustedProxy(t *testing.T) {
	a := testPair(t)
	header := ":" + base64.StdEncoding.EncodeToString(a.Certificate[0]) + ":"
	const options = "{\nservers {\ntrusted_proxies static 127.0.0.1\n}\n}\n"
	enabled := doorSite("m2m_auth {\nissuer ISSUER\naudience " + doorAudience + "\nbound mtls\nclient_certificate_header\n}\nreverse_proxy UPSTREAM")
	d := newDoorSite(t, options+enabled)
	raw := d.boundToken(map[string]any{"x5t#S256": thumbprint(a)})
	check := func(name, raw, want string) {
		t.Helper()
		if got := d.ask("GET", "/books", bearer(raw, "Client-Cert", header)); got.reason() != want || (got.status == http.StatusOK) != (want == "") {
			t.Errorf("%s: %d %s, want %q", name, got.status, got.body, want)
		}
	}
	check("a trusted proxy", raw, "")
	check("a token of another certificate", d.boundToken(map[string]any{"x5t#S256": thumbprint(testPair(t))}), "wrong_certificate")
	check("a plain token", d.token("book:*:read"), "not_bound")
	for name, site := range map[string]string{
		"a stranger": enabled, "not enabled": options + strings.Replace(enabled, "client_certificate_header\n", "", 1),
	} {
		if err := d.Load(d.fill(site)); err != nil {
			t.Fatal(err)
		}
		check(name, raw, "missing_certificate")
	}
}
