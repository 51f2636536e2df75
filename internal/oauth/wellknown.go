package oauth

import (
	"net/url"
	"strings"
	"time"
)

// MetadataMaxAge is how long metadata documents may be cached.
const MetadataMaxAge = 5 * time.Minute

const (
	wellKnownOpenID   = "/.well-known/openid-configuration"
	wellKnownServer   = "/.well-known/oauth-authorization-server"
	wellKnownResource = "/.well-known/oauth-protected-resource"
)

// WellKnownPaths are the paths of an issuer's two metadata documents. OpenID Connect Discovery
// (§4) appends its own to the issuer's path, RFC 8414 (§3.1) puts its own before it. Both are ""
// when issuer, which CheckIssuer should have passed, is no URL.
func WellKnownPaths(issuer string) (openID, server string) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", ""
	}
	path := strings.TrimSuffix(u.Path, "/")
	return path + wellKnownOpenID, wellKnownServer + path
}

// ResourceMetadataURL is where the metadata of a protected resource is found, and the path there:
// RFC 9728 (§3.1) puts its own between the resource's host and path. It is not ok when resource
// is no http or https URL, or has a fragment or user information.
func ResourceMetadataURL(resource string) (location, path string, ok bool) {
	u, err := url.Parse(resource)
	if err != nil || u.Host == "" || u.User != nil || strings.Contains(resource, "#") {
		return "", "", false
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return "", "", false
	}
	tail := u.EscapedPath()
	if tail == "/" {
		tail = ""
	}
	if u, err = u.Parse(wellKnownResource + tail + query(u)); err != nil {
		return "", "", false
	}
	return u.String(), u.Path, true
}

func query(u *url.URL) string {
	if u.RawQuery == "" {
		return ""
	}
	return "?" + u.RawQuery
}
