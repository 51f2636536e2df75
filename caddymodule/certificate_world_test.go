package caddymodule_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// authority signs certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	pair := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// sign signs a certificate for a new key. Without a certificate of its own the authority lets the key sign.
func (a *authority) sign(template *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.signFor(key, template)
}

func (a *authority) signFor(key *ecdsa.PrivateKey, template *x509.Certificate) tls.Certificate {
	a.t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	if !template.IsCA {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	}
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// named signs a certificate with a common name and a DNS name.
func (a *authority) named(name string) tls.Certificate {
	a.t.Helper()
	return a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name, Organization: []string{"Example"}}, DNSNames: []string{name + ".example.com"}})
}

// selfSigned is an authority whose certificates their own keys sign.
func selfSigned(t testing.TB) *authority { return &authority{t: t} }

func pemOf(pair tls.Certificate) (cert, key string) {
	der, _ := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	block := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	return block("CERTIFICATE", pair.Certificate[0]), block("PRIVATE KEY", der)
}

func thumbprintOf(pair tls.Certificate) string {
	sum := sha256.Sum256(pair.Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// jwkOf returns the public key of a certificate as a JWK.
func jwkOf(pair tls.Certificate) string {
	point, _ := pair.PrivateKey.(*ecdsa.PrivateKey).PublicKey.Bytes()
	return fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":"%s","y":"%s"}`,
		base64.RawURLEncoding.EncodeToString(point[1:33]), base64.RawURLEncoding.EncodeToString(point[33:]))
}

// The sites of a certWorld, all on one port: the first verifies certificates, the second takes any, and the third asks for none.
const (
	verifyingSite = "localhost"
	takingSite    = "any.localhost"
	plainSite     = "plain.localhost"
)

// proxyAddress is that of the trusted proxy.
const proxyAddress = "127.0.0.3"

// certWorld is an issuer whose clients present certificates. The issuer also takes them from a trusted proxy, which speaks
// plain HTTP.
type certWorld struct {
	*servertest.Server
	t           testing.TB
	port        int // of the sites
	proxied     int // of the site for the proxy
	ca          *authority
	serverRoots *x509.CertPool
	secret      string
	config      string
}

// startCertWorld starts an issuer with these clients and a door. In the clients HASH stands for the hash of the secret.
func startCertWorld(t testing.TB, ca *authority, clients string) *certWorld {
	t.Helper()
	w := &certWorld{t: t, port: servertest.FreePort(t), proxied: servertest.FreePort(t), ca: ca, secret: registry.NewSecret()}
	servers := newAuthority(t, "servers")
	server := servers.sign(&x509.Certificate{DNSNames: []string{verifyingSite, takingSite, plainSite}})
	w.serverRoots = x509.NewCertPool()
	w.serverRoots.AddCert(servers.cert)
	dir := t.TempDir()
	cert, key := pemOf(server)
	files := " " + servertest.WriteFile(t, dir, "server.pem", cert) + " " + servertest.WriteFile(t, dir, "server.key", key)
	caFile := servertest.WriteFile(t, dir, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})))
	grants := "    grants: [{resource: book, identifiers: [\"*\"], actions: [read]}]\n"
	catalogue := "resources:\n  book: {actions: {read: \"\"}}\nclients:\n" +
		strings.ReplaceAll(strings.ReplaceAll(clients, "HASH", `"`+registry.HashSecret(w.secret)+`"`), "GRANTS\n", grants)
	registryFile := servertest.WriteFile(t, dir, "registry.yaml", catalogue)
	handlers := "m2m_issuer\nm2m_auth {\nrequire GET /books/{id} book:{id}:read\n}\nrespond books\n"
	w.config = fmt.Sprintf(`{
	auto_https disable_redirects
	skip_install_trust
	servers {
		trusted_proxies static %s
	}
	m2m {
		issuer https://%s:%d {
			registry file %s
			mtls_endpoint_aliases https://%s:%d
			client_certificate_header
		}
	}
}
`, proxyAddress, plainSite, w.port, registryFile, verifyingSite, w.port)
	for site, auth := range map[string]string{
		verifyingSite: "client_auth {\nmode verify_if_given\ntrust_pool file " + caFile + "\n}",
		takingSite:    "client_auth {\nmode request\n}",
		plainSite:     "",
	} {
		w.config += fmt.Sprintf("https://%s:%d {\ntls%s {\n%s\n}\n%s}\n", site, w.port, files, auth, handlers)
	}
	w.config += fmt.Sprintf("http://:%d {\n%s}\n", w.proxied, handlers)
	w.Server = servertest.Start(t, w.config)
	return w
}

// client returns a client that connects from an address, with a certificate unless the pair is empty.
func (w *certWorld) client(from string, pair tls.Certificate, change ...func(*tls.Config)) *http.Client {
	config := &tls.Config{RootCAs: w.serverRoots}
	if pair.Certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	for _, c := range change {
		c(config)
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, _ := net.SplitHostPort(address)
		return dialer.DialContext(ctx, network, "127.0.0.1:"+port)
	}}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: 30 * time.Second, Transport: transport}
}

func (w *certWorld) site(host string) string { return fmt.Sprintf("https://%s:%d", host, w.port) }

func bookForm(id string) url.Values {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"book:1:read"}}
	if id != "" {
		form.Set("client_id", id)
	}
	return form
}

// post asks for a token.
func (w *certWorld) post(t testing.TB, client *http.Client, base string, form url.Values, header ...string) (tokenAnswer, error) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, base+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return tokenAnswer{}, err
	}
	a := tokenAnswer{status: response.StatusCode, header: response.Header, body: servertest.Body(t, response)}
	_ = json.Unmarshal([]byte(a.body), &a.tokenMembers)
	return a, nil
}

// answer is post for a request that the server answers.
func (w *certWorld) answer(t testing.TB, client *http.Client, base string, form url.Values, header ...string) tokenAnswer {
	t.Helper()
	a, err := w.post(t, client, base, form, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// confirmationOf returns the cnf of the token of an answer, as JSON.
func confirmationOf(t testing.TB, a tokenAnswer) string {
	t.Helper()
	if a.status != http.StatusOK || a.AccessToken == nil {
		t.Fatalf("no token: %s", a)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(*a.AccessToken, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		Confirmation json.RawMessage `json:"cnf"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return string(claims.Confirmation)
}

// isBoundTo fails the test unless the answer is a token that is bound to the certificate.
func isBoundTo(t testing.TB, a tokenAnswer, pair tls.Certificate) {
	t.Helper()
	if got, want := confirmationOf(t, a), `{"x5t#S256":"`+thumbprintOf(pair)+`"}`; got != want || a.TokenType != "Bearer" {
		t.Errorf("cnf is %s, token_type %s, want cnf %s", got, a.TokenType, want)
	}
}

// books calls the door with a token.
func (w *certWorld) books(t testing.TB, client *http.Client, base, token string) int {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, base+"/books/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}
