package door

import (
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-m2m/caddy-m2m/internal/clientcert"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

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
		{"a proxy passes on a host with a path", "https://api.example.com/admin", "", []string{
			"X-Forwarded-Host", "api.example.com/admin?", "from", proxyAddress}, "proof_wrong_url"},
		{"a proxy passes on a host with user information", "https://x@api.example.com/books", "", []string{
			"X-Forwarded-Host", "x@api.example.com", "from", proxyAddress}, "proof_wrong_url"},
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

// TestLogSaysWhatAProofMustBeFor: an operator sees which URL a door expects, and the client does not.
func TestLogSaysWhatAProofMustBeFor(t *testing.T) {
	w := newBoundWorld(t)
	core, logs := observer.New(zap.DebugLevel)
	d := w.door(func(c *Config) { c.Logger = zap.New(core) })
	raw := w.token(token.Confirmation{JKT: w.client.ID()})
	r := sent("DPoP "+raw, nil, "DPoP", w.proof(w.client, raw, nil))
	r.TLS = nil // as behind a proxy that is not trusted
	answer := wantAnswer(t, d, r, "proof_wrong_url")
	const is = "GET http://api.example.com/books"
	if line := logs.All()[0]; !strings.HasSuffix(line.ContextMap()["error"].(string), is) || strings.Contains(answer.Body.String(), is) {
		t.Errorf("%v\n%s", line.ContextMap(), answer.Body)
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
