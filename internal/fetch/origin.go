package fetch

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

var defaultPorts = map[string]uint64{"http": 80, "https": 443}

// Origin returns the scheme, host and port of a URL (RFC 6454 §4) in one form: in lower case, without the scheme's
// default port, an IP address in its shortest form. It folds only ASCII letters: folding others could give another host
// than the one that is asked. Names that are not ASCII are the same only byte by byte.
func Origin(u *url.URL) string {
	host := LowerASCII(u.Hostname())
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.Port() == "" || err == nil && port == defaultPorts[u.Scheme]:
		return u.Scheme + "://" + host
	case err != nil: // out of range
		return u.Scheme + "://" + host + ":" + u.Port()
	}
	return u.Scheme + "://" + host + ":" + strconv.FormatUint(port, 10)
}

// LowerASCII folds the ASCII letters of a host's name.
func LowerASCII(host string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, host)
}
