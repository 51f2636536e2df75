package caddymodule_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// TestClientsWithCertificates: a client authenticates by the name in a certificate that an authority has signed (RFC 8705 §2.1) or
// by its own key (§2.2), over TLS connections of Caddy. Its tokens are bound to the certificate.
func TestClientsWithCertificates(t *testing.T) {
	ca, other := newAuthority(t, "clients"), newAuthority(t, "others")
	partner := ca.sign(&x509.Certificate{
		Subject:  pkix.Name{CommonName: "partner", Organization: []string{"Example"}, Country: []string{"US"}},
		DNSNames: []string{"partner.example.com"}, IPAddresses: []net.IP{net.ParseIP("192.0.2.7")}, EmailAddresses: []string{"partner@example.com"},
		URIs: []*url.URL{{Scheme: "spiffe", Host: "example.com", Path: "/partner"}},
	})
	own := selfSigned(t).named("own")
	w := startCertWorld(t, ca, `
  dn:
    tls_client_auth_subject_dn: CN=partner,O=Example,C=US
GRANTS
  dns:
    tls_client_auth_san_dns: Partner.example.com
GRANTS
  uri:
    auth: tls_client_auth
    tls_client_auth_san_uri: spiffe://example.com/partner
GRANTS
  ip:
    tls_client_auth_san_ip: 192.0.2.7
GRANTS
  email:
    tls_client_auth_san_email: partner@example.com
GRANTS
  own:
    auth: self_signed_tls_client_auth
    jwks: {keys: [`+jwkOf(own)+`]}
GRANTS
  signer:
    auth: private_key_jwt
    jwks: {keys: [`+jwkOf(own)+`]}
    tls_client_auth_subject_dn: CN=partner,O=Example,C=US
GRANTS
  off:
    disabled: true
    tls_client_auth_subject_dn: CN=partner,O=Example,C=US
GRANTS
  over:
    expires: 2020-01-01T00:00:00Z
    tls_client_auth_subject_dn: CN=partner,O=Example,C=US
GRANTS
  bound:
    secrets: [{id: s1, sha256: HASH}]
    tls_client_certificate_bound_access_tokens: true
GRANTS
  plain:
    secrets: [{id: s1, sha256: HASH}]
GRANTS
`)
	verifying, taking := w.site(verifyingSite), w.site(takingSite)
	here, none := "127.0.0.1", tls.Certificate{}
	secret := func(id string) url.Values {
		form := bookForm(id)
		form.Set("client_secret", w.secret)
		return form
	}

	for _, id := range []string{"dn", "dns", "uri", "ip", "email"} {
		t.Run("verified, by "+id, func(t *testing.T) {
			client := w.client(here, partner)
			a := w.answer(t, client, verifying, bookForm(id))
			isBoundTo(t, a, partner)
			if got := w.books(t, client, verifying, *a.AccessToken); got != http.StatusOK {
				t.Errorf("the door answers %d", got)
			}
			if got := w.books(t, w.client(here, ca.named("another")), verifying, *a.AccessToken); got != http.StatusUnauthorized {
				t.Errorf("with another certificate the door answers %d", got)
			}
		})
	}
	t.Run("signed by itself", func(t *testing.T) {
		isBoundTo(t, w.answer(t, w.client(here, own), taking, bookForm("own")), own)
		renewed := selfSigned(t).signFor(own.PrivateKey.(*ecdsa.PrivateKey), &x509.Certificate{Subject: pkix.Name{CommonName: "another name"}})
		isBoundTo(t, w.answer(t, w.client(here, renewed), taking, bookForm("own")), renewed)
	})
	t.Run("renewed with the same name", func(t *testing.T) {
		renewed := ca.sign(&x509.Certificate{DNSNames: []string{"partner.example.com"}})
		a := w.answer(t, w.client(here, renewed), verifying, bookForm("dns"))
		isBoundTo(t, a, renewed)
		if got := w.books(t, w.client(here, partner), verifying, *a.AccessToken); got != http.StatusUnauthorized {
			t.Errorf("with the former certificate the door answers %d", got)
		}
	})
	t.Run("bound tokens of a client with a secret", func(t *testing.T) {
		isBoundTo(t, w.answer(t, w.client(here, own), taking, secret("bound")), own)
		refusedToken(t, w.answer(t, w.client(here, none), taking, secret("bound")), 400, "invalid_request")
		lapsed := selfSigned(t).sign(&x509.Certificate{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
		refusedToken(t, w.answer(t, w.client(here, lapsed), taking, secret("bound")), 400, "invalid_request")
		if cnf := confirmationOf(t, w.answer(t, w.client(here, own), taking, secret("plain"))); cnf != "" {
			t.Errorf("a client that asks for nothing gets cnf %s", cnf)
		}
	})
	t.Run("TLS 1.2", func(t *testing.T) {
		client := w.client(here, partner, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
		isBoundTo(t, w.answer(t, client, verifying, bookForm("dn")), partner)
	})
	t.Run("sessions do not go on", func(t *testing.T) {
		// A resumed session has the certificate, and the chains, of an earlier handshake, which may have been with another site. Caddy
		// resumes none where it asks for certificates.
		cache := tls.NewLRUClientSessionCache(4)
		for _, site := range []string{plainSite, plainSite, verifyingSite, verifyingSite} {
			resumed := false
			client := w.client(here, partner, func(c *tls.Config) {
				c.ClientSessionCache, c.ServerName = cache, site
				c.VerifyConnection = func(s tls.ConnectionState) error { resumed = s.DidResume; return nil }
			})
			if a := w.answer(t, client, w.site(site), bookForm("dn")); site == verifyingSite {
				isBoundTo(t, a, partner)
			}
			client.CloseIdleConnections()
			if resumed && site == verifyingSite {
				t.Errorf("%s has resumed a session", site)
			}
		}
	})
	t.Run("a connection of another site", func(t *testing.T) {
		// HTTP/2 lets a client send requests for several hosts on one connection. Caddy refuses those for another site than that of
		// the handshake where sites ask for certificates.
		client := w.client(here, none, func(c *tls.Config) { c.ServerName = plainSite })
		if a := w.answer(t, client, verifying, bookForm("dn")); a.status != http.StatusMisdirectedRequest {
			t.Errorf("got %s", a)
		}
	})

	lapsed := selfSigned(t).signFor(own.PrivateKey.(*ecdsa.PrivateKey), &x509.Certificate{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	early := selfSigned(t).signFor(own.PrivateKey.(*ecdsa.PrivateKey), &x509.Certificate{NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour)})
	foreign := other.sign(&x509.Certificate{Subject: partner.Leaf.Subject, DNSNames: partner.Leaf.DNSNames})
	refusals := map[string]struct {
		pair     tls.Certificate
		base, id string
		reason   string
	}{
		"unknown client":                          {partner, verifying, "nobody", "unknown_client"},
		"disabled":                                {partner, verifying, "off", "client_disabled"},
		"expired":                                 {partner, verifying, "over", "client_expired"},
		"another name":                            {ca.named("another"), verifying, "dn", "wrong_certificate"},
		"a client without a name":                 {partner, verifying, "plain", "wrong_certificate"},
		"a client of another method":              {partner, verifying, "signer", "other_method"},
		"a client of another method, by its key":  {own, taking, "signer", "other_method"},
		"not verified":                            {partner, taking, "dn", "certificate_not_verified"},
		"of another authority":                    {foreign, taking, "dns", "certificate_not_verified"},
		"another key":                             {selfSigned(t).named("own"), taking, "own", "wrong_certificate"},
		"signed by itself, of an unknown client":  {own, taking, "nobody", "unknown_client"},
		"signed by itself, and expired":           {lapsed, taking, "own", "certificate_not_current"},
		"signed by itself, and not valid yet":     {early, taking, "own", "certificate_not_current"},
		"the id is not one that a client can get": {partner, verifying, "a\x7fb", ""},
	}
	stranger := w.answer(t, w.client(here, partner), verifying, bookForm("stranger"))
	refusedToken(t, stranger, 401, "invalid_client")
	stranger.header.Del("Date")
	var waiting sync.WaitGroup // each takes the time of a fetch of keys
	for name, r := range refusals {
		client := w.client(here, r.pair)
		waiting.Go(func() {
			a, err := w.post(t, client, r.base, bookForm(r.id))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			if a.header.Del("Date"); a.status != stranger.status || a.body != stranger.body || !headersEqual(a.header, stranger.header) {
				t.Errorf("%s: the answer differs from that to a stranger: %s, %v", name, a, a.header)
			}
		})
	}
	waiting.Wait()
	for name, r := range refusals {
		if r.reason != "" && r.reason != "unknown_client" {
			servertest.Eventually(t, name+" is logged", func() bool {
				return slices.ContainsFunc(w.LogLines("m2m"), func(line map[string]any) bool { return line["client_id"] == r.id && line["reason"] == r.reason })
			})
		}
	}

	t.Run("refused in the handshake", func(t *testing.T) {
		for name, pair := range map[string]tls.Certificate{
			"another authority": foreign, "itself": own,
			"expired": ca.sign(&x509.Certificate{DNSNames: partner.Leaf.DNSNames, NotBefore: lapsed.Leaf.NotBefore, NotAfter: lapsed.Leaf.NotAfter}),
		} {
			if a, err := w.post(t, w.client(here, pair), verifying, bookForm("dns")); err == nil {
				t.Errorf("%s: got %s", name, a)
			}
		}
	})
	t.Run("no certificate", func(t *testing.T) {
		for _, id := range []string{"dn", "stranger"} {
			a := w.answer(t, w.client(here, none), verifying, bookForm(id))
			refusedToken(t, a, 401, "invalid_client")
			if a.Description != "client authentication is missing" {
				t.Errorf("%s: got %s", id, a)
			}
		}
	})
	t.Run("no client_id", func(t *testing.T) {
		refusedToken(t, w.answer(t, w.client(here, partner), verifying, bookForm("")), 400, "invalid_request")
	})
	t.Run("a wrong secret with a right certificate", func(t *testing.T) {
		form := bookForm("dn")
		form.Set("client_secret", "x")
		refusedToken(t, w.answer(t, w.client(here, partner), verifying, form), 401, "invalid_client")
	})
	t.Run("curl", func(t *testing.T) {
		curl, err := exec.LookPath("curl")
		if err != nil {
			t.Skip("curl is not installed")
		}
		dir := t.TempDir()
		cert, key := pemOf(partner)
		output, err := exec.Command(curl, "-sk", "--cert", servertest.WriteFile(t, dir, "partner.crt", cert), "--key", servertest.WriteFile(t, dir, "partner.key", key),
			verifying+"/oauth2/token", "-d", "grant_type=client_credentials", "-d", "client_id=dns", "-d", "scope=book:1:read").Output()
		if err != nil || !strings.Contains(string(output), `"access_token":"`) {
			t.Errorf("got %s, %v", output, err)
		}
	})
	t.Run("introspection and revocation", func(t *testing.T) {
		client := w.client(here, partner)
		token := *w.answer(t, client, verifying, bookForm("dn")).AccessToken
		for _, endpoint := range []string{"introspect", "revoke"} {
			response, err := client.PostForm(verifying+"/oauth2/"+endpoint, url.Values{"client_id": {"dn"}, "token": {token}})
			if err != nil {
				t.Fatal(err)
			}
			body := servertest.Body(t, response)
			if response.StatusCode != http.StatusOK || endpoint == "introspect" && !strings.Contains(body, thumbprintOf(partner)) {
				t.Errorf("%s: got %d %s", endpoint, response.StatusCode, body)
			}
		}
	})
	t.Run("metadata", func(t *testing.T) {
		response, err := w.client(here, none).Get(w.site(plainSite) + "/.well-known/oauth-authorization-server")
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Methods []string          `json:"token_endpoint_auth_methods_supported"`
			Bound   bool              `json:"tls_client_certificate_bound_access_tokens"`
			Aliases map[string]string `json:"mtls_endpoint_aliases"`
		}
		if err := json.Unmarshal([]byte(servertest.Body(t, response)), &m); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(m.Methods, "tls_client_auth") || !slices.Contains(m.Methods, "self_signed_tls_client_auth") || !m.Bound {
			t.Errorf("got %+v", m)
		}
		if m.Aliases["token_endpoint"] != verifying+"/oauth2/token" || len(m.Aliases) != 3 {
			t.Errorf("got aliases %v", m.Aliases)
		}
	})

	proxied, header := "http://127.0.0.1:"+strconv.Itoa(w.proxied), ":"+base64.StdEncoding.EncodeToString(partner.Certificate[0])+":"
	t.Run("from a trusted proxy", func(t *testing.T) {
		proxy := w.client(proxyAddress, none)
		isBoundTo(t, w.answer(t, proxy, proxied, bookForm("dn"), "Client-Cert", header), partner)
		refusedToken(t, w.answer(t, proxy, proxied, bookForm("dn")), 401, "invalid_client")
		refusedToken(t, w.answer(t, proxy, proxied, bookForm("dn"), "Client-Cert", "::"), 401, "invalid_client")
		for _, malformed := range [][]string{{"Client-Cert", "x"}, {"Client-Cert", header, "Client-Cert", header}} {
			refusedToken(t, w.answer(t, proxy, proxied, bookForm("dn"), malformed...), 400, "invalid_request")
		}
	})
	t.Run("from a proxy with a certificate", func(t *testing.T) {
		proxy := w.client(proxyAddress, partner)
		refusedToken(t, w.answer(t, proxy, verifying, bookForm("dn")), 401, "invalid_client")
	})
	t.Run("from an untrusted peer", func(t *testing.T) {
		peer := w.client("127.0.0.4", none)
		for _, base := range []string{proxied, verifying} {
			a := w.answer(t, peer, base, bookForm("dn"), "Client-Cert", header)
			refusedToken(t, a, 401, "invalid_client")
			if a.Description != "client authentication is missing" {
				t.Errorf("got %s", a)
			}
		}
	})
}

// TestCertificateOfAKeyAtAURL: the keys of a client that signs its own certificates may be at its jwks_uri.
func TestCertificateOfAKeyAtAURL(t *testing.T) {
	own := selfSigned(t).named("own")
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/keys" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"keys":[`+jwkOf(own)+`]}`)
	}))
	defer keys.Close()
	w := startIssuer(t, issuerSettings{
		global: "servers {\ntrusted_proxies static 127.0.0.1\n}", options: "client_certificate_header",
		registry: catalogue + `
  fetched:
    jwks_uri: ` + keys.URL + `/keys
    grants: [{resource: book, identifiers: ["*"], actions: [read]}]
  broken:
    jwks_uri: ` + keys.URL + `/broken
`,
	})
	header := func(pair tls.Certificate) []string {
		return []string{"Client-Cert", ":" + base64.StdEncoding.EncodeToString(pair.Certificate[0]) + ":"}
	}
	isBoundTo(t, w.post(bookForm("fetched").Encode(), header(own)...), own)
	refusedToken(t, w.post(bookForm("fetched").Encode(), header(selfSigned(t).named("own"))...), 401, "invalid_client")
	refusedToken(t, w.post(bookForm("broken").Encode(), header(own)...), 401, "invalid_client")
	servertest.Eventually(t, "the refusals are logged", func() bool {
		log := w.Log()
		return strings.Contains(log, `"reason":"wrong_certificate"`) && strings.Contains(log, `"reason":"keys_unavailable"`)
	})
}

func headersEqual(a, b http.Header) bool {
	one, _ := json.Marshal(a)
	two, _ := json.Marshal(b)
	return string(one) == string(two)
}
