package httpguard

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// The lengths of RFC 1035 §2.3.4.
const (
	maxLabel = 63
	maxName  = 253
)

// AmbiguousHost returns why two parsers may read the host of r differently, or "" if they may not. Refuse such a request,
// because the rule that matches it may not be that of the upstream's virtual host. A host is one of
//
//   - a DNS name: labels of letters, digits, "-" and "_", with at most one dot at the end;
//   - an IPv4 address in dotted decimal. A name whose last label is a number is ambiguous, because some parsers read 0x7f.1 as
//     an address;
//   - an IPv6 address in brackets, without a zone and without an IPv4 address in it.
//
// A port of 1 to 65535 may follow. The reason does not repeat the host.
func AmbiguousHost(r *http.Request) (reason string) {
	if r.URL.User != nil {
		return "user information before the host" // RFC 9110 §4.2.4
	}
	// net/http uses :authority as the host and leaves this field (RFC 9113 §8.3.1).
	for _, field := range r.Header["Host"] {
		if !strings.EqualFold(field, r.Host) {
			return "two hosts"
		}
	}
	return AmbiguousAuthority(r.Host)
}

// AmbiguousAuthority is like AmbiguousHost, for a host with or without a port.
func AmbiguousAuthority(host string) (reason string) {
	name, port, hasPort := cutPort(host)
	if hasPort && !isPort(port) {
		return "the port is not a number from 1 to 65535"
	}
	return AmbiguousHostname(name)
}

// AmbiguousHostname is like AmbiguousHost, for a host without its port.
func AmbiguousHostname(name string) (reason string) {
	if strings.HasPrefix(name, "[") {
		if _, ok := parseLiteral(name); !ok {
			return "the host is not an IPv6 address in brackets"
		}
		return ""
	}
	if len(name) > maxName+1 || len(strings.TrimSuffix(name, ".")) > maxName {
		return "the host is too long"
	}
	var last string
	for last = range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if reason := ambiguousLabel(last); reason != "" {
			return reason
		}
	}
	if isNumber(last) && !isIPv4(name) {
		return "the host may be an address"
	}
	return ""
}

func isIPv4(name string) bool {
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Is4()
}

func ambiguousLabel(label string) string {
	if label == "" || len(label) > maxLabel {
		return "a part of the host is empty or too long"
	}
	for i := range len(label) {
		if c := label[i]; fold(c) == '-' && c != '-' && c != '_' {
			return "the host has another character than letters, digits, hyphens and underscores"
		}
	}
	if len(label) >= 4 && strings.EqualFold(label[:4], "xn--") && !isALabel(label) {
		return "a part of the host is not well-formed Punycode"
	}
	return ""
}

// isALabel reports whether a label encodes one that is not ASCII (RFC 5890 §2.3.2.1). Some decoders read xn--admin- as
// "admin".
func isALabel(label string) bool {
	text, err := idna.Lookup.ToUnicode(label)
	return err == nil && strings.ContainsFunc(text, func(c rune) bool { return c > 0x7f })
}

// isNumber reports whether the URL Standard reads a name with this last label as an IPv4 address.
func isNumber(label string) bool {
	if len(label) >= 2 && strings.EqualFold(label[:2], "0x") {
		return strings.Trim(label[2:], "0123456789abcdefABCDEF") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func isPort(port string) bool {
	number, err := strconv.ParseUint(port, 10, 16)
	return err == nil && number > 0 && len(port) <= len("65535")
}

// parseLiteral reads an IPv6 address in brackets (RFC 3986 §3.2.2).
func parseLiteral(name string) (netip.Addr, bool) {
	inner, closed := strings.CutSuffix(strings.TrimPrefix(name, "["), "]")
	addr, err := netip.ParseAddr(inner)
	return addr, err == nil && closed && addr.Is6() && !addr.Is4In6() && addr.Zone() == ""
}

// FoldHost returns a request's host in the form of a host pattern: in lower case, without the port and without the dot of a
// fully qualified name. An IPv6 address is in its shortest form (RFC 5952).
func FoldHost(host string) string {
	name, _, _ := cutPort(host)
	if addr, ok := parseLiteral(name); ok {
		return "[" + addr.String() + "]"
	}
	return strings.TrimSuffix(strings.ToLower(name), ".")
}

func cutPort(host string) (name, port string, found bool) {
	if i := strings.LastIndex(host, ":"); i >= 0 && !strings.Contains(host[i:], "]") {
		return host[:i], host[i+1:], true
	}
	return host, "", false
}
