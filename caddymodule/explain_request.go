package caddymodule

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
)

// requestOf is the request that a door would judge.
func requestOf(ctx context.Context, p *api.ProxiedRequest) (*http.Request, error) {
	r := &http.Request{
		Method: p.Method, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: http.NoBody, RemoteAddr: net.JoinHostPort(p.RemoteIP, "0"),
	}
	if !isToken(p.Method) {
		return nil, api.Invalid("request.method is no HTTP method")
	}
	for name, value := range p.Headers {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value):
			return nil, api.Invalid("request.headers: %q is no header", name)
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

// isToken is RFC 9110 §5.6.2, which methods are.
func isToken(text string) bool { return httpguts.ValidHeaderFieldName(text) }

// isAddress reports whether a remote address is one, or is not given.
func isAddress(text string) bool {
	if text == "" {
		return true
	}
	_, err := netip.ParseAddr(text)
	return err == nil
}

// explainProxied has each door of the issuer judge a request with the token that would be issued, or the
// one that is chosen. Doors are numbered by what they are, so that a reload of the same config leaves
// their numbers.
func explainProxied(ctx context.Context, e *issuer.Explaining, trace bool, asked *api.ProxiedRequest, all []*AuthHandler) error {
	var doors []*AuthHandler
	for _, door := range all {
		if door.trust(e.Explanation.Issuer) != nil {
			doors = append(doors, door)
		}
	}
	slices.SortStableFunc(doors, func(a, b *AuthHandler) int {
		return cmp.Or(slices.Compare(a.Audience, b.Audience), slices.Compare(a.patterns(), b.patterns()))
	})
	if len(doors) == 0 {
		return api.Invalid("no m2m_auth of this config takes the tokens of %s", e.Explanation.Issuer)
	}
	if asked.Door != nil && (*asked.Door < 0 || *asked.Door >= len(doors)) {
		return api.Invalid("request.door is a number from 0 to %d", len(doors)-1)
	}
	e.Explanation.Doors = []api.DoorExplanation{}
	letThrough, refusedHere := false, false
	for number, door := range doors {
		if asked.Door != nil && *asked.Door != number {
			continue
		}
		r, err := requestOf(ctx, asked)
		if err != nil {
			return err
		}
		d := door.explain(r, door.trust(e.Explanation.Issuer), e.Token, trace, e.Time())
		d.Door = number
		e.Explanation.Doors = append(e.Explanation.Doors, d)
		letThrough = letThrough || d.LetThrough
		refusedHere = refusedHere || !d.LetThrough && d.TakesToken
	}
	e.Explanation.Passes = e.Explanation.Passes && letThrough && !refusedHere
	return nil
}

// patterns are those of what the door requires.
func (h *AuthHandler) patterns() []string {
	patterns := []string{}
	for _, r := range h.Require {
		patterns = append(patterns, r.pattern())
	}
	return patterns
}
