// Package clientcert finds the certificate that a client has proven to hold, from the TLS connection or from the header of a
// trusted proxy (RFC 9440), and compares its names with those that a registry lists (RFC 8705 §2.1.2). Reader.Of is its
// entry point. The package imports no other of this module.
package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"time"
)

// Certificate is the certificate of a client that has proven to hold its private key.
type Certificate struct {
	// Raw is the certificate in DER.
	Raw []byte
	// Verified is set if its chain was verified: by this server, or by the trusted proxy that sent the header. Whether a
	// proxy verifies is the operator's promise.
	Verified bool
	// FromHeader is set if a trusted proxy sent it.
	FromHeader bool

	leaf *x509.Certificate // nil until it is parsed
}

// Reader finds the certificates of requests.
type Reader struct {
	// Header is the name of the header in which trusted proxies send the client's certificate, usually DefaultHeader. If it
	// is "", only the TLS connection counts.
	Header string
}

// Of returns the certificate of a request, nil if it has none. If headers are enabled and the peer is a trusted proxy, the
// header alone counts: the certificate of the connection would be that of the proxy, which is not the client. The header of
// any other peer is ignored. Of fails if the header of a trusted proxy is malformed.
func (r Reader) Of(request *http.Request, fromTrustedProxy bool) (*Certificate, error) {
	if r.Header != "" && fromTrustedProxy {
		raw, err := parseHeader(request.Header.Values(r.Header))
		if err != nil || raw == nil {
			return nil, err
		}
		return &Certificate{Raw: raw, Verified: true, FromHeader: true}, nil
	}
	// The state is that of the connection that carries this request. Its certificate never changes: crypto/tls has neither
	// renegotiation (TLS 1.2) nor authentication after the handshake (TLS 1.3) on the side of the server.
	if request.TLS == nil || len(request.TLS.PeerCertificates) == 0 {
		return nil, nil
	}
	leaf := request.TLS.PeerCertificates[0]
	return &Certificate{Raw: leaf.Raw, Verified: len(request.TLS.VerifiedChains) > 0, leaf: leaf}, nil
}

// Thumbprint returns the member x5t#S256 of cnf for the certificate (RFC 8705 §3.1).
func (c *Certificate) Thumbprint() string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Leaf returns the parsed certificate. The caller must not change it.
func (c *Certificate) Leaf() (*x509.Certificate, error) {
	if c.leaf == nil {
		leaf, err := x509.ParseCertificate(c.Raw)
		if err != nil {
			return nil, errors.New("the certificate is malformed")
		}
		c.leaf = leaf
	}
	return c.leaf, nil
}

// CurrentAt reports whether a time is in the certificate's validity period. The TLS handshake may have been long before, or
// may not have checked it.
func (c *Certificate) CurrentAt(now time.Time) bool {
	leaf, err := c.Leaf()
	return err == nil && !now.Before(leaf.NotBefore) && !now.After(leaf.NotAfter)
}
