package oauth

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
)

const maxIssuer = 512 // bytes

// CheckIssuer returns an error if the URL of an issuer of this server is not valid. It must be https, or http on loopback
// (localhost, a name below it, 127.0.0.0/8, ::1), without user information, query and fragment (RFC 8414 §2). Because issuers are compared
// byte by byte it must be in normal form: with a lower-case host, without the default port, and with a path of unreserved
// characters (RFC 3986 §2.3) without dot segments, empty segments, percent-encoding and a slash at the end. The error does
// not repeat the URL.
func CheckIssuer(raw string) error {
	if len(raw) > maxIssuer {
		return fmt.Errorf("issuer is longer than %d bytes", maxIssuer)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("issuer is not a URL")
	}
	if u.User != nil || strings.ContainsAny(raw, "?#@") {
		return errors.New("issuer must not have user information, a query or a fragment")
	}
	if err := checkIssuerHost(u); err != nil {
		return err
	}
	if err := checkIssuerPath(u.EscapedPath()); err != nil {
		return err
	}
	if raw != u.Scheme+"://"+u.Host+u.Path {
		return errors.New("issuer is not in its normal form")
	}
	return nil
}

func checkIssuerHost(u *url.URL) error {
	host := u.Hostname()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("issuer must be a URL that begins with https://")
	case !isNormalHost(host):
		return errors.New("issuer must have a host of lower-case letters, digits, hyphens and dots, or an IP address")
	case u.Scheme == "http" && !fetch.IsLoopback(host):
		return errors.New("issuer must be https; http is for loopback only")
	case u.Host != host && u.Host != "["+host+"]" && !isNormalPort(u):
		return errors.New("issuer's port must be a number other than the scheme's default")
	}
	return nil
}

func isNormalHost(host string) bool {
	if strings.Contains(host, ":") {
		ip, err := netip.ParseAddr(host)
		return err == nil && ip.String() == host
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.IndexFunc(label, isNoLabelRune) >= 0 {
			return false
		}
	}
	return true
}

func isNoLabelRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
}

func isNormalPort(u *url.URL) bool {
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || strconv.FormatUint(port, 10) != u.Port() {
		return false
	}
	return port != 0 && port != map[string]uint64{"http": 80, "https": 443}[u.Scheme]
}

func checkIssuerPath(p string) error {
	switch {
	case p == "":
		return nil
	case p == "/" || path.Clean(p) != p:
		return errors.New("issuer's path must not end in a slash or have empty or dot segments")
	case strings.IndexFunc(p, isNoPathRune) >= 0:
		return errors.New("issuer's path must be letters, digits, and any of -._~ between slashes")
	}
	return nil
}

func isNoPathRune(r rune) bool {
	return r > 0x7e || !isAlphanumeric(byte(r)) && !strings.ContainsRune("/-._~", r)
}
