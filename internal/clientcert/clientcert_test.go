package clientcert

import (
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
)

// certificate signs a template with its own key.
func certificate(t testing.TB, template *x509.Certificate) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func requestWith(cert *x509.Certificate, chains [][]*x509.Certificate, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	if cert != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: chains}
	}
	for _, value := range header {
		r.Header.Add("Client-Cert", value)
	}
	return r
}

func byteSequence(cert *x509.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(cert.Raw) + ":"
}

func TestOf(t *testing.T) {
	cert, other := certificate(t, &x509.Certificate{}), certificate(t, &x509.Certificate{})
	chains := [][]*x509.Certificate{{cert}}
	on, off := Reader{Header: DefaultHeader}, Reader{}
	tests := []struct {
		name     string
		reader   Reader
		request  *http.Request
		trusted  bool
		want     *x509.Certificate
		verified bool
	}{
		{"a verified certificate of the connection", off, requestWith(cert, chains), false, cert, true},
		{"a certificate that was not verified", off, requestWith(cert, nil), false, cert, false},
		{"no certificate", off, requestWith(nil, nil), false, nil, false},
		{"the header of a trusted proxy", on, requestWith(nil, nil, byteSequence(cert)), true, cert, true},
		{"a header from another peer", on, requestWith(nil, nil, byteSequence(cert)), false, nil, false},
		{"a header from another peer that has a certificate", on, requestWith(cert, chains, byteSequence(other)), false, cert, true},
		{"a header that is not enabled", off, requestWith(nil, nil, byteSequence(cert)), true, nil, false},
		{"a proxy that has a certificate itself", on, requestWith(other, chains, byteSequence(cert)), true, cert, true},
		{"a proxy that has a certificate itself, and a client that has none", on, requestWith(other, chains), true, nil, false},
		{"a proxy that sends an empty header", on, requestWith(other, chains, "::"), true, nil, false},
		{"a malformed header from another peer", on, requestWith(nil, nil, "x", "y"), false, nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.reader.Of(test.request, test.trusted)
			if err != nil {
				t.Fatal(err)
			}
			if (got == nil) != (test.want == nil) {
				t.Fatalf("got %v, want a certificate: %v", got, test.want != nil)
			}
			if got == nil {
				return
			}
			leaf, err := got.Leaf()
			if err != nil || !leaf.Equal(test.want) || got.Verified != test.verified {
				t.Errorf("got another certificate, or verified = %v (error: %v)", got.Verified, err)
			}
			sum := sha256.Sum256(test.want.Raw)
			if got.Thumbprint() != base64.RawURLEncoding.EncodeToString(sum[:]) {
				t.Errorf("got thumbprint %q", got.Thumbprint())
			}
		})
	}
}

func TestMalformedHeaders(t *testing.T) {
	good := byteSequence(certificate(t, &x509.Certificate{}))
	for name, values := range map[string][]string{
		"two headers":          {good, good},
		"an empty one first":   {"", good},
		"two members":          {good + ", " + good},
		"no colons":            {strings.Trim(good, ":")},
		"one colon":            {":"},
		"a parameter":          {good + ";a=1"},
		"PEM":                  {"-----BEGIN CERTIFICATE----- MIIB -----END CERTIFICATE-----"},
		"escaped PEM":          {"-----BEGIN%20CERTIFICATE-----%0AMIIB"},
		"URL-safe base64":      {":-_-_:"},
		"a space inside":       {":AA AA:"},
		"a line break inside":  {":AA\nAA:"},
		"padding inside":       {":AA==AA==:"},
		"only padding":         {":==:"},
		"too much padding":     {":AAAA====:"},
		"one digit":            {":A:"},
		"too long":             {":" + strings.Repeat("A", maxHeader) + ":"},
		"a comma after it all": {good + ","},
	} {
		t.Run(name, func(t *testing.T) {
			if cert, err := (Reader{DefaultHeader}).Of(requestWith(nil, nil, values...), true); err == nil || cert != nil {
				t.Errorf("got certificate %v and no error", cert)
			} else if strings.ContainsFunc(err.Error(), func(r rune) bool { return r > 0x7e }) {
				t.Errorf("an error_description cannot have %q (RFC 6749 §5.2)", err)
			}
		})
	}
}

// TestOddHeaders has what RFC 8941 §4.2.7 wants a parser to take.
func TestOddHeaders(t *testing.T) {
	cert := certificate(t, &x509.Certificate{})
	unpadded := ":" + base64.RawStdEncoding.EncodeToString(cert.Raw) + ":"
	for _, value := range []string{unpadded, "  " + byteSequence(cert) + " "} {
		got, err := (Reader{DefaultHeader}).Of(requestWith(nil, nil, value), true)
		if err != nil || got == nil || string(got.Raw) != string(cert.Raw) {
			t.Errorf("%.20s...: got %v, %v", value, got, err)
		}
	}
}

// TestHeaderWithoutCertificate has a byte sequence that is not a certificate. It has a thumbprint, which no token has, and no name.
func TestHeaderWithoutCertificate(t *testing.T) {
	got, err := (Reader{DefaultHeader}).Of(requestWith(nil, nil, ":AAAA:"), true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := got.Leaf(); err == nil || got.CurrentAt(time.Now()) {
		t.Error("three bytes are a certificate")
	}
}

func TestCurrentAt(t *testing.T) {
	now := time.Now()
	raw := certificate(t, &x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}).Raw
	for at, want := range map[time.Duration]bool{-2 * time.Hour: false, 0: true, 2 * time.Hour: false} {
		if got := (&Certificate{Raw: raw}).CurrentAt(now.Add(at)); got != want {
			t.Errorf("at %v: got %v", at, got)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, seed := range []string{"", "::", ":AAAA:", ":AA==:", ":A:", byteSequence(certificate(f, &x509.Certificate{})), ":AA\n==:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		raw, err := parseHeader([]string{value})
		if err != nil && raw != nil || len(raw) > maxHeader {
			t.Fatalf("got %d bytes and error %v", len(raw), err)
		}
		if raw == nil {
			return
		}
		again, err := parseHeader([]string{":" + base64.StdEncoding.EncodeToString(raw) + ":"})
		if err == nil && string(again) != string(raw) {
			t.Fatalf("%q means %q and %q", value, raw, again)
		}
		cert := Certificate{Raw: raw}
		if leaf, err := cert.Leaf(); err == nil {
			_, _ = nameOf(leaf.RawSubject)
			alternativeNames(leaf)
		}
	})
}

func BenchmarkThumbprint(b *testing.B) {
	cert := &Certificate{Raw: certificate(b, &x509.Certificate{}).Raw}
	for b.Loop() {
		cert.Thumbprint()
	}
}
