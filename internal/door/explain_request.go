package door

import (
	"context"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
)

// requestOf returns the request as a server would give it to a door.
func requestOf(ctx context.Context, p *api.ProxiedRequest) (*http.Request, error) {
	r := &http.Request{
		Method: p.Method, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: http.NoBody, RemoteAddr: net.JoinHostPort(p.RemoteIP, "0"),
	}
	if !httpguts.ValidHeaderFieldName(p.Method) { // both are tokens of RFC 9110 §5.6.2
		return nil, api.Invalid("request.method is not an HTTP method")
	}
	for name, value := range p.Headers {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value):
			return nil, api.Invalid("request.headers: %q is not a header", name)
		case canonical == "Host":
			return nil, api.Invalid("request.headers: the host is that of the URL")
		case canonical == "Authorization":
			return nil, api.Invalid("request.headers: the token is the one that would be issued; give none")
		}
		r.Header[canonical] = append(r.Header[canonical], value)
	}
	target := p.URL
	if scheme, rest, absolute := strings.Cut(p.URL, "://"); absolute && isWebScheme(scheme) {
		r.Host, target = rest, "/"
		if at := strings.IndexAny(rest, "/?#"); at >= 0 {
			r.Host, target = rest[:at], "/"+strings.TrimPrefix(rest[at:], "/")
		}
	}
	var err error
	if r.URL, err = url.ParseRequestURI(target); err != nil || !strings.HasPrefix(target, "/") || strings.Contains(r.Host, "@") || !httpguts.ValidHostHeader(r.Host) {
		return nil, api.Invalid("request.url must be an http or https URL, or a path")
	}
	r.RequestURI = target
	return r.WithContext(ctx), nil
}

func isWebScheme(scheme string) bool {
	return strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
}
