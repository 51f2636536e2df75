package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxHost is the number of bytes that a name in the DNS can have (RFC 1035 §2.3.4).
const maxHost = 253

var defaultPorts = map[string]uint64{"http": 80, "https": 443}

// CheckEndpointOrigin returns an error unless an endpoint is on its issuer's own origin or one of others, which
// CheckOrigin has accepted. A server can write any URL into its metadata: without this check it could make this process
// send requests to any host and, on loopback, to any port.
func CheckEndpointOrigin(endpoint, issuer string, others []string) error {
	at, err := originOf(endpoint)
	if err != nil {
		return err
	}
	own, err := originOf(issuer)
	if err != nil {
		return err
	}
	if at != own && !slices.Contains(others, at) {
		return errors.New("is on another origin, " + at)
	}
	return nil
}

// CheckOrigin returns what is wrong with an origin that an operator allows beside the issuer's own. The origin must have
// the form in which CheckEndpointOrigin compares, so that an accepted origin takes effect. The error does not hold user
// information.
func CheckOrigin(origin, issuer string) error {
	if err := checkEndpoint(origin, issuer); err != nil {
		return err
	}
	u, err := url.Parse(origin)
	if err != nil {
		return errNotAbsolute
	}
	if !isPlainHost(u.Hostname()) {
		return errors.New("must name an IP address, or a host in ASCII letters, digits, hyphens and dots")
	}
	if normal := normalOrigin(u); normal != origin {
		return fmt.Errorf("must be an origin in its normal form, %s", normal)
	}
	return nil
}

func originOf(location string) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", errNotAbsolute
	}
	return normalOrigin(u), nil
}

// normalOrigin returns the scheme, host and port of a URL (RFC 6454 §4): in lower case, without the scheme's default
// port, an IP address in its shortest form. Only ASCII letters are folded: other letters may fold to a different host
// than the one that is asked, so names that are not ASCII are the same only byte by byte.
func normalOrigin(u *url.URL) string {
	host := strings.Map(lowerASCII, u.Hostname())
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
	case err != nil:
		return u.Scheme + "://" + host + ":" + u.Port() // out of range, which no accepted origin is
	}
	return u.Scheme + "://" + host + ":" + strconv.FormatUint(port, 10)
}

func lowerASCII(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// isPlainHost reports whether a host has one reading alone. A last label of digits is a number in some resolvers, which
// read 127.1 or 0x7f000001 as an IP address.
func isPlainHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == ""
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || strings.Trim(strings.Map(lowerASCII, label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	_, err := strconv.ParseUint(labels[len(labels)-1], 0, 64)
	return err != nil && !errors.Is(err, strconv.ErrRange)
}
