package clientcert

import (
	"encoding/base64"
	"errors"
	"strings"
)

// The headers of RFC 9440. The chain is never read, because the proxy has verified it. It must not reach an upstream if it
// comes from a peer that is not trusted.
const (
	DefaultHeader = "Client-Cert"
	ChainHeader   = "Client-Cert-Chain"
)

// maxHeader bounds the text of a certificate, in bytes. Certificates with 4096-bit RSA keys have some 3,000.
const maxHeader = 16 << 10

var (
	errSeveral = errors.New("the certificate header is there more than once; the proxy must replace what a client sends")
	errTooLong = errors.New("the certificate header is too long")
	errForm    = errors.New("the certificate header is not base64 between colons (RFC 9440, section 2.2)")
)

// parseHeader parses the values of a certificate header: one byte sequence (RFC 8941 §3.3.5). It returns nil if there is
// none, or an empty one, which proxies send for a client that has no certificate.
func parseHeader(values []string) ([]byte, error) {
	switch len(values) {
	case 0:
		return nil, nil
	case 1:
	default:
		return nil, errSeveral
	}
	text := strings.Trim(values[0], " ")
	switch {
	case text == "" || text == "::":
		return nil, nil
	case len(text) > maxHeader:
		return nil, errTooLong
	case len(text) < 2 || text[0] != ':' || text[len(text)-1] != ':':
		return nil, errForm
	}
	text = text[1 : len(text)-1]
	// Padding may be missing (RFC 8941 §4.2.7). The decoder would skip line breaks.
	unpadded := strings.TrimRight(text, "=")
	if len(text)-len(unpadded) > 2 || strings.ContainsAny(unpadded, "\r\n") {
		return nil, errForm
	}
	raw, err := base64.RawStdEncoding.DecodeString(unpadded)
	if err != nil || len(raw) == 0 {
		return nil, errForm
	}
	return raw, nil
}
