package clientcert

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"
	"strings"
	"testing"
)

type pair struct {
	Type  asn1.ObjectIdentifier
	Value any
}

var (
	oidC  = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidO  = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidCN = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidDC = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
)

// subject encodes a name in the order of the certificate.
func subject(t testing.TB, sets ...[]pair) []byte {
	t.Helper()
	type pairsSET []pair
	var name []pairsSET
	for _, set := range sets {
		name = append(name, set)
	}
	raw, err := asn1.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func one(oid asn1.ObjectIdentifier, value any) []pair { return []pair{{oid, value}} }

func TestSubjectDN(t *testing.T) {
	plain := subject(t, one(oidC, "US"), one(oidO, "Example"), one(oidCN, "books"))
	several := subject(t, one(oidO, "Example"), []pair{{oidCN, "books"}, {oidOU, "night"}})
	odd := subject(t, one(oidO, `Sue, "Grabbit" + <Runn>; \ =`), one(oidCN, "# x "))
	unicode := subject(t, one(oidCN, "Lučić"))
	domain := subject(t, one(oidDC, asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("com")}), one(oidDC, asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte("example")}))
	wide := subject(t, one(oidCN, asn1.RawValue{Tag: asn1.TagBMPString, Bytes: []byte("\x00h\x01\x0d")}))
	latin := subject(t, one(oidCN, asn1.RawValue{Tag: asn1.TagT61String, Bytes: []byte("caf\xe9")}))
	number := subject(t, one(oidCN, 7))
	nul := subject(t, one(oidCN, "books\x00.evil"))
	tests := []struct {
		name    string
		written string
		subject []byte
		want    bool
	}{
		{"equal", "CN=books,O=Example,C=US", plain, true},
		{"spaces after commas", "CN=books, O=Example, C=US", plain, true},
		{"types in lower case and as OIDs", "cn=books,2.5.4.10=Example,c=US", plain, true},
		{"values as BER", "CN=#1305626f6f6b73,O=Example,C=US", plain, true},
		{"values as BER of another string type", "CN=#0C05626f6f6b73,O=Example,C=US", plain, false},
		{"escaped without need", `CN=\62ooks,O=Example,C=US`, plain, true},
		{"in the order of the certificate", "C=US,O=Example,CN=books", plain, false},
		{"a part", "CN=books", plain, false},
		{"more", "CN=books,O=Example,C=US,DC=com", plain, false},
		{"another case", "CN=Books,O=Example,C=US", plain, false},
		{"one value that spells several", `CN=books\,O=Example\,C=US`, plain, false},
		{"a set instead of a sequence", "CN=books+O=Example,C=US", plain, false},
		{"of several values", "CN=books+OU=night,O=Example", several, true},
		{"of several values in another order", "OU=night+CN=books,O=Example", several, true},
		{"of several values, one missing", "OU=night,O=Example", several, false},
		{"of several values, one twice", "OU=night+OU=night,O=Example", several, false},
		{"of several values as a sequence", "CN=books,OU=night,O=Example", several, false},
		{"escapes", `CN=\# x\ ,O=Sue\, \"Grabbit\" \+ \<Runn\>\; \\ =`, odd, true},
		{"escaped UTF-8", `CN=Lu\C4\8Di\C4\87`, unicode, true},
		{"UTF-8", "CN=Lučić", unicode, true},
		{"domain components in another case", "DC=EXAMPLE,DC=Com", domain, true},
		{"a Kelvin sign is not a k", "DC=\u212a", subject(t, one(oidDC, "k")), false},
		{"a BMPString", "CN=hč", wide, true},
		{"a TeletexString", "CN=café", latin, false},
		{"a TeletexString as BER", "CN=#1404636166e9", latin, true},
		{"a number", "CN=7", number, false},
		{"a number as BER", "CN=#020107", number, true},
		{"NUL ends nothing", "CN=books", nul, false},
		{"NUL", `CN=books\00.evil`, nul, true},
		{"no name", "CN=books", subject(t), false},
		{"not a name", "CN=books", []byte("x"), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, err := NewMatcher(Subject{SubjectDN: test.written})
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Matches(&x509.Certificate{RawSubject: test.subject}); got != test.want {
				t.Errorf("%q: got %v", test.written, got)
			}
		})
	}
}

func TestSubjectWithTooManyAttributes(t *testing.T) {
	var sets [][]pair
	for range maxAttributes + 1 {
		sets = append(sets, one(oidCN, "a"))
	}
	if _, err := nameOf(subject(t, sets...)); err == nil {
		t.Error("no error")
	}
}

// TestNamesThatAreRefused has names that an operator may write, and what must be said of them.
func TestNamesThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"books":                      "without =",
		"CN=books,":                  "without =",
		"CN=books,,O=x":              "not known",
		"/C=US/CN=books":             "not known",
		"C = US, CN = books":         "RFC2253",
		"CN=":                        "no value",
		"CN=,O=x":                    "no value",
		"CN= books":                  "begins with a space",
		"CN=books ,O=x":              "ends in a space",
		"CN=a;O=b":                   "without a backslash",
		`CN="a"`:                     "without a backslash",
		"CN=a\x00":                   "without a backslash",
		`CN=a\`:                      "backslash",
		`CN=a\x`:                     "backslash",
		`CN=\ff`:                     "not UTF-8",
		"CN=#":                       "hexadecimal",
		"CN=#0":                      "hexadecimal",
		"CN=#xx":                     "hexadecimal",
		"FOO=a":                      "not known",
		"2.5.04.3=a":                 "not known",
		"2=a":                        "not known",
		"CN=\xff":                    "not valid UTF-8",
		strings.Repeat("CN=a,", 500): "longer than",
	} {
		if _, err := NewMatcher(Subject{SubjectDN: text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got error %v, want %q in it", text, err, want)
		}
	}
}

func TestAlternativeNames(t *testing.T) {
	odd := &url.URL{Scheme: "https", Host: "example.com", Opaque: ""}
	odd.RawQuery = "A=%7e"
	cert := certificate(t, &x509.Certificate{
		Subject:        pkix.Name{CommonName: "cn.example.com"},
		DNSNames:       []string{"books.example.com", "*.wild.example.com"},
		URIs:           []*url.URL{{Scheme: "spiffe", Host: "example", Path: "/books"}, odd},
		IPAddresses:    []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("2001:db8::1")},
		EmailAddresses: []string{"Books@example.com"},
	})
	for s, want := range map[Subject]bool{
		{SANDNS: "books.example.com"}:         true,
		{SANDNS: "BOOKS.example.com"}:         true,
		{SANDNS: "example.com"}:               false,
		{SANDNS: "a.wild.example.com"}:        false,
		{SANDNS: "cn.example.com"}:            false,
		{SANDNS: "192.0.2.1"}:                 false,
		{SANURI: "spiffe://example/books"}:    true,
		{SANURI: "spiffe://EXAMPLE/books"}:    false,
		{SANURI: "spiffe://example/books/"}:   false,
		{SANURI: "https://example.com?A=%7e"}: true,
		{SANURI: "https://example.com?A=~"}:   false,
		{SANURI: "x:books.example.com"}:       false,
		{SANIP: "192.0.2.1"}:                  true,
		{SANIP: "192.0.2.2"}:                  false,
		{SANIP: "::ffff:192.0.2.1"}:           false,
		{SANIP: "2001:DB8:0:0::1"}:            true,
		{SANEmail: "Books@example.com"}:       true,
		{SANEmail: "Books@EXAMPLE.com"}:       true,
		{SANEmail: "books@example.com"}:       false,
		{SubjectDN: "CN=cn.example.com"}:      true,
		{SubjectDN: "CN=books.example.com"}:   false,
	} {
		m, err := NewMatcher(s)
		if err != nil {
			t.Errorf("%v: %v", s, err)
			continue
		}
		if got := m.Matches(cert); got != want {
			t.Errorf("%v: got %v", s, got)
		}
	}
	if (*Matcher)(nil).Matches(cert) {
		t.Error("nil matches")
	}
}

func TestSubjectsThatAreRefused(t *testing.T) {
	for s, want := range map[Subject]string{
		{}: "no name",
		{SANDNS: "a.example.com", SANIP: "192.0.2.1"}: "more than one",
		{SubjectDN: "CN=a", SANDNS: "a.example.com"}:  "more than one",
		{SANDNS: "*.example.com"}:                     "wildcards",
		{SANDNS: "a.example.com."}:                    "not a DNS name",
		{SANDNS: "https://a.example.com"}:             "not a DNS name",
		{SANDNS: "bücher.example.com"}:                "not a DNS name",
		{SANURI: "/books"}:                            "not an absolute URI",
		{SANURI: "spiffe://a b"}:                      "not an absolute URI",
		{SANIP: "192.0.2.0/24"}:                       "not an IP address",
		{SANIP: "fe80::1%eth0"}:                       "not an IP address",
		{SANEmail: "example.com"}:                     "not an email address",
		{SANEmail: "a@b@example.com"}:                 "not an email address",
	} {
		if _, err := NewMatcher(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got error %v, want %q in it", s, err, want)
		}
	}
}

// FuzzName checks that a name that is read and encoded as that of a certificate matches it.
func FuzzName(f *testing.F) {
	for _, seed := range []string{
		"CN=books,O=Example,C=US", "CN=a+OU=b, O=c", `CN=\# x\ ,O=\,\"`, "2.5.4.3=#0c0161", `CN=Lu\C4\8D`, "CN=#", "CN", "=", ",", `\`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := ParseName(text)
		if err != nil {
			return
		}
		if !name.equals(name) && !strings.Contains(text, "#") { // text equals no BER
			t.Fatalf("%q does not equal itself", text)
		}
	})
}

// FuzzCertificateName checks that bytes of a certificate cause no panic.
func FuzzCertificateName(f *testing.F) {
	f.Add(subject(f, one(oidC, "US"), one(oidCN, "books")), []byte("0\x05\x82\x03a.b"))
	m, err := NewMatcher(Subject{SubjectDN: "CN=books,C=US"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, name, san []byte) {
		cert := &x509.Certificate{RawSubject: name, Extensions: []pkix.Extension{{Id: subjectAltName, Value: san}}}
		m.Matches(cert)
		(&Matcher{tag: tagURI, text: "a:b"}).Matches(cert)
	})
}
