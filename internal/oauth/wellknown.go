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

// WellKnownPaths returns the paths of an issuer's two metadata documents. OpenID Connect Discovery §4 appends its path to that
// of the issuer, and RFC 8414 §3.1 inserts its path before it. Both are "" if issuer is not a URL.
func WellKnownPaths(issuer string) (openID, server string) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", ""
	}
	path := strings.TrimSuffix(u.Path, "/")
	return path + wellKnownOpenID, wellKnownServer + path
}

// ResourceMetadataURL returns the URL of a protected resource's metadata and the path in it, which RFC 9728 §3.1 inserts
// between the resource's host and path. It is not ok unless resource is an http or https URL without fragment and user
// information.
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
	if u.RawQuery != "" {
		tail += "?" + u.RawQuery
	}
	if u, err = u.Parse(wellKnownResource + tail); err != nil {
		return "", "", false
	}
	return u.String(), u.Path, true
}
