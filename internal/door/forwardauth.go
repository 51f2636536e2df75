package door

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// ForwardAuth makes a door answer a proxy that asks whether it may forward a request, as with nginx's auth_request. It says where
// the door finds the request that the proxy asks about. "" is a door that passes requests on.
type ForwardAuth string

const (
	// sameRequest is for proxies that repeat the method, the host and the URL of the request, as nginx and Envoy can.
	sameRequest ForwardAuth = "same_request"
	// xForwarded is for proxies that set X-Forwarded-Method, X-Forwarded-Host and X-Forwarded-Uri, as Caddy and Traefik do.
	xForwarded ForwardAuth = "x_forwarded"
	// xOriginal is for proxies that set X-Original-Method and X-Original-URL, as ingress-nginx does.
	xOriginal ForwardAuth = "x_original"
)

// CheckForwardAuth fails on an unknown value, and on options that have no effect because the door does not pass requests on.
func CheckForwardAuth(f ForwardAuth, keepToken, keepStreams bool) error {
	switch f {
	case "":
		return nil
	case sameRequest, xForwarded, xOriginal:
	default:
		return fmt.Errorf("%q does not say where the request is that a proxy asks about: same_request, x_forwarded or x_original", f)
	}
	switch {
	case keepToken:
		return errors.New("keep_token has no effect with forward_auth: the proxy that asks keeps or removes the token")
	case keepStreams:
		return errors.New("keep_streams has no effect with forward_auth: the proxy that asks serves the connections")
	}
	return nil
}

// asked returns the request that the proxy asks about. It refuses a request with a header that the door would remove: the
// proxy forwards the client's request, not the door's copy, so removing it here would not keep it from the upstream.
func (d *Door) asked(r *http.Request) (*http.Request, *Refusal) {
	asked := r.WithContext(r.Context())
	why := d.ForwardAuth.describe(asked)
	if why == "" {
		why = d.leftToUpstream(asked.Header)
	}
	if why == "" {
		why = d.forgedCertificate(asked)
	}
	return asked, badForwardAuth(why)
}

// badForwardAuth refuses a request of a proxy, unless why is "".
func badForwardAuth(why string) *Refusal {
	if why == "" {
		return nil
	}
	return &Refusal{Challenge: &oauth.Challenge{
		Status: http.StatusBadRequest, Code: oauth.CodeInvalidRequest, Reason: reasonForwardAuth, Description: why,
	}}
}

// leftToUpstream returns why the upstream would get a header that the door removes, "" if it would not.
func (d *Door) leftToUpstream(header http.Header) string {
	for field := range header {
		if d.overrides.Drops(field) || d.identity.drops(field) {
			return "a header of the request is one that the upstream must not get from a client: " + field
		}
	}
	if httpguard.Upgrades(header) {
		return "the request asks for an upgrade to another protocol than WebSocket"
	}
	return ""
}

// forgedCertificate returns why the upstream would get a header with a certificate that the client has not proven to have, ""
// if it would not. Only the proxy knows what it sends to the upstream.
func (d *Door) forgedCertificate(r *http.Request) string {
	own := d.Binding.Certificates.Header
	for field := range r.Header {
		if httpguard.FoldsToAny(field, d.certificateHeaders) && !(own != "" && d.Host.TrustedProxy(r) && slices.Contains(d.certificateHeaders, field)) {
			return "a header of the request is one that only a trusted proxy may send: " + field
		}
	}
	return ""
}

// drops reports whether strip removes a field.
func (h *identityHeaders) drops(field string) bool {
	return httpguard.FoldsToAny(field, h.stripped) || httpguard.FoldsToAny(field, h.pinned) && !slices.Contains(h.pinned, field)
}

// describes reports whether the request that is judged is another one than the door received.
func (f ForwardAuth) describes() bool { return f == xForwarded || f == xOriginal }

// describe makes r the request that the proxy asks about. It returns why it cannot, or "".
func (f ForwardAuth) describe(r *http.Request) string {
	switch f {
	case xForwarded:
		return describeBy(r, "X-Forwarded-Method", "X-Forwarded-Host", "X-Forwarded-Uri")
	case xOriginal:
		return describeByURL(r)
	}
	return ""
}

// describeBy reads the request from three headers, and removes those that would override it.
func describeBy(r *http.Request, methodField, hostField, targetField string) string {
	method, why := only(r.Header, methodField)
	if why != "" {
		return why
	}
	host, why := only(r.Header, hostField)
	if why != "" {
		return why
	}
	target, why := only(r.Header, targetField)
	if why != "" {
		return why
	}
	delete(r.Header, methodField)
	delete(r.Header, targetField)
	return become(r, method, host, target)
}

// describeByURL reads the request from X-Original-Method and X-Original-URL, and removes them.
func describeByURL(r *http.Request) string {
	method, why := only(r.Header, "X-Original-Method")
	if why != "" {
		return why
	}
	raw, why := only(r.Header, "X-Original-Url")
	if why != "" {
		return why
	}
	rest, ok := strings.CutPrefix(raw, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(raw, "http://"); !ok {
			return "X-Original-URL is not an http or https URL"
		}
	}
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return "X-Original-URL has no path"
	}
	delete(r.Header, "X-Original-Method")
	delete(r.Header, "X-Original-Url")
	r.Header["X-Forwarded-Proto"] = []string{raw[:strings.IndexByte(raw, ':')]} // of the URL that a DPoP proof is for
	return become(r, method, rest[:slash], rest[slash:])
}

// only returns the one value of a field, or why there is not one.
func only(header http.Header, field string) (value, why string) {
	values := header[field]
	if len(values) != 1 || values[0] == "" {
		return "", fmt.Sprintf("the proxy must send one %s; there are %d", field, len(values))
	}
	return values[0], ""
}

// become gives r a method, a host and a target. The target must be the one that url.URL writes again, so that no other
// parser reads another path or query in it.
func become(r *http.Request, method, host, target string) string {
	if !httpguts.ValidHeaderFieldName(method) { // RFC 9110 §9.1: both are tokens
		return "the method that the proxy asks about is malformed"
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || !strings.HasPrefix(target, "/") || strings.Contains(target, "#") || u.RequestURI() != target {
		return "the URL that the proxy asks about is malformed, or has characters that must be percent-encoded"
	}
	r.Method, r.Host, r.URL, r.RequestURI = method, host, u, target
	return ""
}

// answer is the handler behind a door with ForwardAuth. It tells the proxy that the request may go on, and who sends it.
type answer struct{ door *Door }

// ServeHTTP answers 200, because Envoy takes no other status for a yes. The identity headers of the request are in the answer.
func (a answer) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	httpguard.BoundBody(w, r)
	for _, name := range a.door.identity.stripped {
		if values := r.Header[name]; len(values) > 0 {
			w.Header()[name] = values
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}
