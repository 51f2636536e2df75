package discovery

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
)

var errNotAbsolute = errors.New("must be an absolute URL without user information and fragment")

// checkEndpoint checks the URL of an issuer's endpoint. It must be https. Only an issuer that is itself http on loopback
// may have http endpoints on loopback, so that an https issuer cannot lead a client to plain text or to the client's own
// host.
func checkEndpoint(endpoint, issuer string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errNotAbsolute
	}
	if len(u.Hostname()) > maxHost || !isPort(u.Port()) {
		return errors.New("must be a URL with a host of at most 253 bytes and a port of 1 to 65535")
	}
	if u.Scheme == "https" {
		return nil
	}
	if u.Scheme == "http" && fetch.IsLoopback(u.Hostname()) && strings.HasPrefix(issuer, "http://") {
		return nil
	}
	return errors.New("must be https; http is for an issuer on loopback only")
}

func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}
