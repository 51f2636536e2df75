package door

import (
	"net/http"
	"strings"

	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
)

// proven returns what a proof for a request must name (RFC 9449 §4.2): its method, and the URLs by which the client may have sent
// it. The host is the one of the request or the one that a trusted proxy names, the scheme likewise. Method and path are those
// that were received, because directives may have changed them, or those that the proxy asks about.
func (d *Door) proven(r *http.Request, raw string) dpop.Request {
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
	method, received := d.Host.Received(r)
	if received == nil || d.ForwardAuth.describes() {
		method, received = r.Method, r.URL
	}
	urls := make([]string, len(hosts))
	for n, host := range hosts {
		urls[n] = scheme + "://" + host + received.EscapedPath()
	}
	return dpop.Request{Method: method, URLs: urls, Token: raw}
}

// oneOf returns the one value of a field, "" if there is another number of them.
func oneOf(header http.Header, field string) string {
	values := header[field]
	if len(values) != 1 || strings.Contains(values[0], ",") {
		return ""
	}
	return values[0]
}
