package registry

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/clientcert"
)

// Certificate says which client certificates authenticate a client by tls_client_auth (RFC 8705 §2.1.2). At most one field
// is set. A field is compared with the certificate's subject, or with each entry of that kind of its subjectAltName.
type Certificate struct {
	// SubjectDN is a distinguished name (RFC 4514).
	SubjectDN string
	// SANDNS is a host name, SANURI a URI, SANIP an IP address and SANEmail a mail address.
	SANDNS, SANURI, SANIP, SANEmail string
}

// The names of fields that are those of RFC 8705 §2.1.2 and §3.4, and of RFC 9449 §5.2.
const (
	fieldSubjectDN        = "tls_client_auth_subject_dn"
	fieldSANDNS           = "tls_client_auth_san_dns"
	fieldSANURI           = "tls_client_auth_san_uri"
	fieldSANIP            = "tls_client_auth_san_ip"
	fieldSANEmail         = "tls_client_auth_san_email"
	fieldCertificateBound = "tls_client_certificate_bound_access_tokens"
	fieldDPoPBound        = "dpop_bound_access_tokens"
)

// certificateChecks return errors if texts of these fields are not well-formed.
var certificateChecks = map[string]func(string) error{
	fieldSubjectDN: checkDN,
	fieldSANDNS:    checkHostName,
	fieldSANURI:    checkURI,
	fieldSANIP:     checkAddress,
	fieldSANEmail:  checkMail,
}

// certificate reads one field of a client's Certificate.
func (d *decoder) certificate(n *node, c *Client, field string, into *string) {
	another := c.Certificate != Certificate{}
	*into = d.text(n, field)
	switch err := certificateChecks[field](*into); {
	case n.kind != stringKind:
	case another:
		d.problems.add(n.at, "a client may have only one tls_client_auth field that names its certificate")
	case len(*into) > maxCertificateText:
		d.problems.add(n.at, "%s is longer than %d bytes", field, maxCertificateText)
	case err != nil:
		d.problems.add(n.at, "%s %v", field, err)
	default:
		if _, err := clientcert.NewMatcher(clientcert.Subject(c.Certificate)); err != nil { // it could never match
			d.problems.add(n.at, "%v", err)
		}
	}
}

const maxCertificateText = 1024

// checkDN uses the parser that compares names, so that a name that is accepted can match.
func checkDN(text string) error {
	if _, err := clientcert.ParseName(text); err != nil {
		return fmt.Errorf("must be a distinguished name as in RFC 4514, such as CN=books,O=Example: %w", err)
	}
	return nil
}

func checkHostName(text string) error {
	if len(text) > 253 || !isHostName(text) {
		return errors.New("must be a host name such as partner.example.com")
	}
	return nil
}

func isHostName(text string) bool {
	for label := range strings.SplitSeq(text, ".") {
		isLabel := label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-'
		if !isLabel || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

func checkURI(text string) error {
	if u, err := url.Parse(text); err != nil || !u.IsAbs() || u.Host+u.Opaque+u.Path == "" || !isURIText(text) {
		return errors.New("must be an absolute URI such as spiffe://example.org/books")
	}
	return nil
}

func checkAddress(text string) error {
	if address, err := netip.ParseAddr(text); err != nil || address.Zone() != "" || address.Is4In6() {
		return errors.New("must be an IP address such as 192.0.2.7 or 2001:db8::7")
	}
	return nil
}

func checkMail(text string) error {
	if a, err := mail.ParseAddress(text); err != nil || a.Address != text {
		return errors.New("must be a mail address such as books@example.com")
	}
	return nil
}
