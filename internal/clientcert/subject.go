package clientcert

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Subject names the certificate that a client authenticates with (RFC 8705 §2.1.2). Exactly one field is set.
type Subject struct {
	SubjectDN string // in the form of RFC 4514
	SANDNS    string
	SANURI    string
	SANIP     string
	SANEmail  string
}

// IsZero reports whether the subject names nothing.
func (s Subject) IsZero() bool { return s == Subject{} }

// Matcher recognizes the certificates of one subject.
type Matcher struct {
	name Name // nil for a name of subjectAltName
	tag  int  // of the name in subjectAltName
	text string
}

// The tags of GeneralName (RFC 5280 §4.2.1.6).
const (
	tagEmail = 1
	tagDNS   = 2
	tagURI   = 6
	tagIP    = 7
)

// maxSAN bounds a name of subjectAltName, in bytes.
const maxSAN = 2048

// NewMatcher checks a subject, and returns what recognizes its certificates.
func NewMatcher(s Subject) (*Matcher, error) {
	names := []struct {
		parameter, value string
		parse            func(string) (*Matcher, error)
	}{
		{"tls_client_auth_subject_dn", s.SubjectDN, matchName},
		{"tls_client_auth_san_dns", s.SANDNS, matchDNS},
		{"tls_client_auth_san_uri", s.SANURI, matchURI},
		{"tls_client_auth_san_ip", s.SANIP, matchIP},
		{"tls_client_auth_san_email", s.SANEmail, matchEmail},
	}
	var matcher *Matcher
	for _, n := range names {
		if n.value == "" {
			continue
		}
		if matcher != nil {
			return nil, errors.New("more than one name of a certificate is given; RFC 8705 allows one")
		}
		var err error
		if matcher, err = n.parse(n.value); err != nil {
			return nil, fmt.Errorf("%s: %w", n.parameter, err)
		}
	}
	if matcher == nil {
		return nil, errors.New("no name of a certificate is given")
	}
	return matcher, nil
}

func matchName(text string) (*Matcher, error) {
	name, err := ParseName(text)
	return &Matcher{name: name}, err
}

// matchDNS matches the exact name. A wildcard in a certificate names no client, and one here would promise what RFC 8705
// does not have.
func matchDNS(text string) (*Matcher, error) {
	switch {
	case !isPrintable(text) || len(text) > 253 || strings.HasPrefix(text, ".") || strings.HasSuffix(text, "."):
		return nil, errors.New("it is not a DNS name")
	case strings.Contains(text, "*"):
		return nil, errors.New("wildcards are not supported; name one host")
	case strings.ContainsAny(text, "/:@"):
		return nil, errors.New("it is not a DNS name")
	}
	return &Matcher{tag: tagDNS, text: text}, nil
}

func matchURI(text string) (*Matcher, error) {
	u, err := url.Parse(text)
	if !isPrintable(text) || len(text) > maxSAN || err != nil || !u.IsAbs() {
		return nil, errors.New("it is not an absolute URI")
	}
	return &Matcher{tag: tagURI, text: text}, nil
}

func matchIP(text string) (*Matcher, error) {
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return nil, errors.New("it is not an IP address")
	}
	return &Matcher{tag: tagIP, text: string(address.AsSlice())}, nil
}

func matchEmail(text string) (*Matcher, error) {
	local, domain, found := strings.Cut(text, "@")
	if !isPrintable(text) || len(text) > maxSAN || !found || local == "" || domain == "" || strings.Contains(domain, "@") {
		return nil, errors.New("it is not an email address")
	}
	return &Matcher{tag: tagEmail, text: text}, nil
}

func isPrintable(text string) bool {
	return text != "" && strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// Matches reports whether a certificate has the name. A nil Matcher matches nothing.
func (m *Matcher) Matches(cert *x509.Certificate) bool {
	switch {
	case m == nil:
		return false
	case m.name != nil:
		subject, err := nameOf(cert.RawSubject)
		return err == nil && m.name.equals(subject)
	}
	for _, name := range alternativeNames(cert) {
		if name.Tag == m.tag && m.equals(string(name.Bytes)) {
			return true
		}
	}
	return false
}

// equals compares a name with one of a certificate: byte for byte, except for the case of host names (RFC 5280 §7.2 and
// §7.5). URIs are not normalized, so a URI is compared as the certificate has it.
func (m *Matcher) equals(name string) bool {
	switch m.tag {
	case tagDNS:
		return equalFoldASCII(m.text, name)
	case tagEmail:
		local, domain, _ := strings.Cut(m.text, "@")
		otherLocal, otherDomain, _ := strings.Cut(name, "@")
		return local == otherLocal && equalFoldASCII(domain, otherDomain)
	}
	return m.text == name
}

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// alternativeNames returns the names of a certificate's subjectAltName as they are written in it. The fields of
// x509.Certificate hold URIs in another form.
func alternativeNames(cert *x509.Certificate) []asn1.RawValue {
	for _, extension := range cert.Extensions { // x509 refuses certificates that have one twice
		if !extension.Id.Equal(subjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(extension.Value, &names); err != nil || len(rest) > 0 {
			return nil
		}
		return contextNames(names)
	}
	return nil
}

// contextNames leaves the names that are primitive values of the context class, as those that are compared are.
func contextNames(names []asn1.RawValue) []asn1.RawValue {
	kept := names[:0]
	for _, name := range names {
		if name.Class == asn1.ClassContextSpecific && !name.IsCompound {
			kept = append(kept, name)
		}
	}
	return kept
}
