package discovery

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// checkEndpoint holds the transport of an issuer's endpoints: https, and http on loopback only for
// an issuer that is itself http on loopback, so that no https issuer leads a client to plain text
// or to the client's own host.
func checkEndpoint(endpoint, issuer string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("must be an absolute URL without user information and fragment")
	}
	if u.Scheme == "https" {
		return nil
	}
	if u.Scheme == "http" && isLoopback(u.Hostname()) && strings.HasPrefix(issuer, "http://") {
		return nil
	}
	return errors.New("must be https; http is for an issuer on loopback only")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
