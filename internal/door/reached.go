package door

import (
	"net/http"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
)

// reachedAs returns the URLs by which the client may have sent a request: the htu of a proof for it (RFC 9449 §4.2). The host is
// the one of the request or the one that a trusted proxy names, the scheme likewise. The path is the one that was received,
// because directives may have changed it, or the one that the proxy asks about.
func (d *Door) reachedAs(r *http.Request) []string {
	scheme, hosts := "http", []string{r.Host}
	if r.TLS != nil {
		scheme = "https"
	}
	trusted := d.Host.TrustedProxy(r)
	if named := oneOf(r.Header, "X-Forwarded-Proto"); (trusted || d.ForwardAuth != "") && (named == "http" || named == "https") {
		scheme = named
	}
	// Proxies may pass on what a client sends, such as "api.example.com/books?", which would move the path into the query.
	if named := oneOf(r.Header, "X-Forwarded-Host"); trusted && d.ForwardAuth == "" && httpguard.AmbiguousAuthority(named) == "" {
		hosts = append(hosts, named)
	}
	received := r.URL
	if u := d.Host.ReceivedURL(r); u != nil && !d.ForwardAuth.describes() {
		received = u
	}
	urls := make([]string, len(hosts))
	for n, host := range hosts {
		urls[n] = scheme + "://" + host + received.EscapedPath()
	}
	return urls
}

// oneOf returns the one value of a field, "" if there is another number of them.
func oneOf(header http.Header, field string) string {
	values := header[field]
	if len(values) != 1 || strings.Contains(values[0], ",") {
		return ""
	}
	return values[0]
}
