package clientcert

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Name is a distinguished name: a sequence of sets of attributes, in the order of the certificate, which is the reverse of
// that of the text (RFC 4514 §2.1).
type Name [][]attribute

// attribute is a type and its value, as text or, if it is written as #hex or has no text, in BER.
type attribute struct {
	kind  string // the OID in dotted form
	text  string
	isBER bool
	ber   []byte
}

// maxName bounds the text of a name, in bytes, and maxAttributes the attributes of the name of a certificate.
const (
	maxName       = 2048
	maxAttributes = 64
)

// attributeTypes are the short names of attribute types: those of RFC 4514 §3, and others that openssl prints.
var attributeTypes = map[string]string{
	"CN": "2.5.4.3", "L": "2.5.4.7", "ST": "2.5.4.8", "O": "2.5.4.10", "OU": "2.5.4.11", "C": "2.5.4.6", "STREET": "2.5.4.9",
	"DC": domainComponent, "UID": "0.9.2342.19200300.100.1.1",
	"EMAILADDRESS": "1.2.840.113549.1.9.1", "SERIALNUMBER": "2.5.4.5", "SN": "2.5.4.4", "GN": "2.5.4.42", "TITLE": "2.5.4.12",
	"POSTALCODE": "2.5.4.17", "DNQUALIFIER": "2.5.4.46", "ORGANIZATIONIDENTIFIER": "2.5.4.97", "BUSINESSCATEGORY": "2.5.4.15",
}

// domainComponent is the type of a label of a DNS name, the only one whose values are compared without their case.
const domainComponent = "0.9.2342.19200300.100.1.25"

// ParseName parses a name in the form of RFC 4514, such as CN=books,O=Example,C=US. It takes spaces after a comma or a plus
// sign, which the RFC does not have and people write.
func ParseName(text string) (Name, error) {
	switch {
	case text == "":
		return nil, errors.New("the name is empty")
	case len(text) > maxName:
		return nil, fmt.Errorf("the name is longer than %d bytes", maxName)
	case !utf8.ValidString(text):
		return nil, errors.New("the name is not valid UTF-8")
	}
	p := nameParser{text}
	var name Name
	var set []attribute
	for {
		a, err := p.attribute()
		if err != nil {
			return nil, err
		}
		set = append(set, a)
		separator := p.next()
		if separator != '+' {
			name, set = append(name, set), nil
		}
		if separator == 0 {
			slices.Reverse(name)
			return name, nil
		}
	}
}

// nameParser is at the rest of a text.
type nameParser struct{ rest string }

// next takes one byte, or returns 0 at the end. The text has no byte 0 there, because values end only at separators.
func (p *nameParser) next() byte {
	if p.rest == "" {
		return 0
	}
	c := p.rest[0]
	p.rest = p.rest[1:]
	return c
}

func (p *nameParser) attribute() (attribute, error) {
	p.rest = strings.TrimLeft(p.rest, " ")
	kind, rest, found := strings.Cut(p.rest, "=")
	if !found {
		return attribute{}, errors.New("an attribute without = stands in the name; write it as in CN=books,O=Example")
	}
	if strings.HasSuffix(kind, " ") {
		return attribute{}, errors.New("a space stands before =; write the name as openssl prints it with -nameopt RFC2253, as in CN=books,O=Example")
	}
	oid, err := attributeType(kind)
	if err != nil {
		return attribute{}, err
	}
	p.rest = rest
	if strings.HasPrefix(rest, "#") {
		ber, err := p.hexValue()
		return attribute{kind: oid, isBER: true, ber: ber}, err
	}
	value, err := p.value()
	return attribute{kind: oid, text: value}, err
}

// attributeType returns the OID of an attribute type, which is a short name or an OID.
func attributeType(kind string) (string, error) {
	if oid, ok := attributeTypes[strings.ToUpper(kind)]; ok {
		return oid, nil
	}
	switch {
	case isOID(kind):
		return kind, nil
	case len(kind) > maxShown: // it may be a private key that stands in the wrong place
		return "", errors.New("its attribute type is not known; write the name as in CN=books,O=Example")
	}
	return "", fmt.Errorf("the attribute type %q is not known; write its OID instead", kind)
}

// maxShown is the greatest number of bytes of an attribute type that an error repeats. Those of openssl are shorter.
const maxShown = 28

// isOID reports whether a text is an OID in dotted form: two or more numbers without leading zeros.
func isOID(text string) bool {
	numbers := strings.Split(text, ".")
	for _, n := range numbers {
		if value, err := strconv.ParseUint(n, 10, 31); err != nil || strconv.FormatUint(value, 10) != n {
			return false
		}
	}
	return len(numbers) >= 2
}

// hexValue takes #, and the BER of a value in hexadecimal digits (RFC 4514 §2.4).
func (p *nameParser) hexValue() ([]byte, error) {
	digits := p.rest[1:]
	if end := strings.IndexAny(digits, ",+"); end >= 0 {
		digits = digits[:end]
	}
	p.rest = p.rest[1+len(digits):]
	ber, err := hex.DecodeString(digits)
	if err != nil || len(ber) == 0 {
		return nil, errors.New("a value after # is not in hexadecimal digits; write # as \\# if it is text")
	}
	return ber, nil
}

// value takes a value in text form and its escapes. It ends before a separator.
func (p *nameParser) value() (string, error) {
	var value []byte
	spaces := 0 // at the end of value that are not escaped
	for n := 0; p.rest != "" && p.rest[0] != ',' && p.rest[0] != '+'; n++ {
		c := p.next()
		switch {
		case c == '\\':
			escaped, err := p.escaped()
			if err != nil {
				return "", err
			}
			value, spaces = append(value, escaped), 0
			continue
		case c == 0 || strings.IndexByte(`";<>`, c) >= 0:
			return "", fmt.Errorf("the character %q stands in the name without a backslash", c)
		case c == ' ' && n == 0:
			return "", errors.New("a value begins with a space; remove it, or write it as \"\\ \"")
		}
		value = append(value, c)
		if spaces = spaces + 1; c != ' ' {
			spaces = 0
		}
	}
	switch {
	case spaces > 0:
		return "", errors.New("a value ends in a space; remove it, or write it as \"\\ \"")
	case len(value) == 0:
		return "", errors.New("an attribute of the name has no value")
	case !utf8.Valid(value):
		return "", errors.New("the escapes of a value are not UTF-8")
	}
	return string(value), nil
}

// escaped takes what follows a backslash: a special character, or two hexadecimal digits (RFC 4514 §3).
func (p *nameParser) escaped() (byte, error) {
	const specials = `\"+,;<> #=`
	if p.rest != "" && strings.IndexByte(specials, p.rest[0]) >= 0 {
		return p.next(), nil
	}
	if len(p.rest) >= 2 {
		if b, err := hex.DecodeString(p.rest[:2]); err == nil {
			p.rest = p.rest[2:]
			return b[0], nil
		}
	}
	return 0, errors.New("a backslash stands before a character that it cannot escape")
}

// nameOf parses the subject of a certificate.
func nameOf(rawSubject []byte) (Name, error) {
	type pair struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type setSET []pair // asn1 takes a type whose name ends in SET as a set
	var sets []setSET
	if rest, err := asn1.Unmarshal(rawSubject, &sets); err != nil || len(rest) > 0 {
		return nil, errors.New("the subject of the certificate is malformed")
	}
	name, count := make(Name, 0, len(sets)), 0
	for _, set := range sets {
		if count += len(set); count > maxAttributes {
			return nil, errors.New("the subject of the certificate has too many attributes")
		}
		attributes := make([]attribute, len(set))
		for n, p := range set {
			text, isText := textOf(p.Value)
			attributes[n] = attribute{p.Type.String(), text, !isText, p.Value.FullBytes}
		}
		name = append(name, attributes)
	}
	return name, nil
}

// textOf returns the text of a string type of ASN.1. Of TeletexString, whose encodings differ, it takes only ASCII.
func textOf(v asn1.RawValue) (string, bool) {
	if v.Class != asn1.ClassUniversal || v.IsCompound {
		return "", false
	}
	switch v.Tag {
	case asn1.TagUTF8String:
		return string(v.Bytes), utf8.Valid(v.Bytes)
	case asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString, asn1.TagT61String:
		return string(v.Bytes), isASCII(v.Bytes)
	case asn1.TagBMPString:
		return textOfBMP(v.Bytes)
	}
	return "", false
}

func textOfBMP(b []byte) (string, bool) {
	if len(b)%2 != 0 {
		return "", false
	}
	units := make([]uint16, 0, len(b)/2)
	for n := 0; n < len(b); n += 2 {
		unit := uint16(b[n])<<8 | uint16(b[n+1])
		if utf16.IsSurrogate(rune(unit)) { // BMPString has none
			return "", false
		}
		units = append(units, unit)
	}
	return string(utf16.Decode(units)), true
}

func isASCII[T string | []byte](text T) bool {
	for n := range len(text) {
		if text[n] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// equals reports whether a name that was written is that of a certificate: the same sets in the same order, and the same
// attributes of each set in any order.
func (written Name) equals(subject Name) bool {
	return slices.EqualFunc(written, subject, equalSets)
}

// equalSets reports whether each attribute of a set has its own equal in the other.
func equalSets(written, subject []attribute) bool {
	if len(written) != len(subject) {
		return false
	}
	rest := slices.Clone(subject)
	for _, a := range written {
		found := slices.IndexFunc(rest, a.equals)
		if found < 0 {
			return false
		}
		rest = slices.Delete(rest, found, found+1)
	}
	return true
}

// equals compares values byte for byte, except for the case of a label of a DNS name. RFC 5280 §7.1 would ignore the case and
// the spaces of more types. A name that differs in these can be someone else's, so it is not accepted.
func (a attribute) equals(subject attribute) bool {
	switch {
	case a.kind != subject.kind:
		return false
	case a.isBER:
		return bytes.Equal(a.ber, subject.ber)
	case subject.isBER:
		return false
	case a.kind == domainComponent:
		return equalFoldASCII(a.text, subject.text)
	}
	return a.text == subject.text
}

// equalFoldASCII compares texts of which only A to Z have case. strings.EqualFold would take a Kelvin sign for a k.
func equalFoldASCII(a, b string) bool {
	return isASCII(a) && isASCII(b) && strings.EqualFold(a, b)
}
