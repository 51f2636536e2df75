package discovery

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
)

// maxHost is the number of bytes that a name in the DNS can have (RFC 1035 §2.3.4).
const maxHost = 253

// CheckEndpointOrigin returns an error unless an endpoint is on its issuer's own origin or one of others, which
// CheckOrigin has accepted. A server can write any URL into its metadata: without this check it could make this process
// send requests to any host and, on loopback, to any port.
func CheckEndpointOrigin(endpoint, issuer string, others []string) error {
	return checkEndpointOrigin(endpoint, append(Source{Issuer: issuer}.origins(), others...))
}

func checkEndpointOrigin(endpoint string, allowed []string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return errNotAbsolute
	}
	if at := fetch.Origin(u); !slices.Contains(allowed, at) {
		return errors.New("is on another origin, " + at)
	}
	return nil
}

// CheckOrigin returns what is wrong with an origin that an operator allows beside the issuer's own. The origin must have
// the form in which CheckEndpointOrigin compares, so that an accepted origin takes effect. The error does not hold user
// information.
func CheckOrigin(origin, issuer string) error { return checkOrigin(origin, plainOf(issuer)) }

func checkOrigin(origin string, plain plainHTTP) error {
	u, err := parseEndpoint(origin, plain)
	if err != nil {
		return err
	}
	if !isPlainHost(u.Hostname()) {
		return errors.New("must name an IP address, or a host in ASCII letters, digits, hyphens and dots")
	}
	if normal := fetch.Origin(u); normal != origin {
		return fmt.Errorf("must be an origin in its normal form, %s", normal)
	}
	return nil
}

// isPlainHost reports whether all resolvers read a host in the same way. Some take a last label of digits for a number,
// and read 127.1 or 0x7f000001 as an IP address.
func isPlainHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == ""
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || strings.Trim(fetch.LowerASCII(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	_, err := strconv.ParseUint(labels[len(labels)-1], 0, 64)
	return err != nil && !errors.Is(err, strconv.ErrRange)
}

var errNotAbsolute = errors.New("must be an absolute URL without user information and fragment")

// plainHTTP says where a URL may be http.
type plainHTTP int

const (
	noHTTP plainHTTP = iota
	loopbackHTTP
	anyHTTP
)

// plainOf returns where an issuer's URLs may be http. Only an issuer that is itself http on loopback may have http endpoints
// on loopback, so that an https issuer cannot lead a client to plain text or to the client's own host.
func plainOf(named string) plainHTTP {
	if isPlain(named) {
		return loopbackHTTP
	}
	return noHTTP
}

func isPlain(location string) bool { return strings.HasPrefix(location, "http://") }

// parseEndpoint parses the URL of an issuer's endpoint.
func parseEndpoint(endpoint string, plain plainHTTP) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, errNotAbsolute
	}
	port, portErr := strconv.ParseUint(cmp.Or(u.Port(), "443"), 10, 16)
	if len(u.Hostname()) > maxHost || portErr != nil || port == 0 {
		return nil, errors.New("must be a URL with a host of at most 253 bytes and a port of 1 to 65535")
	}
	switch {
	case u.Scheme == "https", u.Scheme == "http" && plain == anyHTTP, u.Scheme == "http" && plain == loopbackHTTP && fetch.IsLoopback(u.Hostname()):
		return u, nil
	}
	return nil, errors.New("must be https; http is for an issuer on loopback only")
}
