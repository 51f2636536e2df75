package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
)

// strip removes the client's headers that only the door or a later handler may set, and those that override
// the URL or the host. It runs before anything else.
func (h *AuthHandler) strip(r *http.Request) {
	h.overrides.Strip(r.Header)
	h.identity.strip(r)
}

// ambiguity returns the refusal of a request that the upstream may take for another one, nil if it cannot.
func (h *AuthHandler) ambiguity(r *http.Request) *refusal {
	if why := httpguard.AmbiguousHost(r); why != "" {
		return ambiguous(reasonAmbiguousHost, why)
	}
	return h.ambiguityOfTarget(r)
}

// ambiguityOfTarget is ambiguity without the host.
func (h *AuthHandler) ambiguityOfTarget(r *http.Request) *refusal {
	if why := ambiguousPath(r); why != "" {
		return ambiguous(reasonAmbiguousPath, why)
	}
	if why := h.overrides.AmbiguousMethod(r); why != "" {
		return ambiguous(reasonAmbiguousMethod, why)
	}
	return nil
}

// ambiguousPath looks at the path as it is now, and as it came if Caddy has changed it. Directives such as
// handle_path clean a path before they strip it, and an upstream may read it as it came: FastCGI has
// that one in REQUEST_URI.
func ambiguousPath(r *http.Request) string {
	came, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if ok && came.URL != nil && (came.URL.Path != r.URL.Path || came.URL.RawPath != r.URL.RawPath) {
		if why := httpguard.AmbiguousPath(came.URL); why != "" {
			return why
		}
	}
	return httpguard.AmbiguousPath(r.URL)
}

// trustHeaders fails on a name that overrides nothing, and where a header is to arrive that does not.
func (h *AuthHandler) trustHeaders() (*httpguard.Overrides, error) {
	overrides, err := newOverrides(h.TrustHeaders)
	if err != nil {
		return nil, err
	}
	for _, name := range h.TrustHeaders {
		probe := http.Header{http.CanonicalHeaderKey(name): nil}
		if httpguard.StripIdentityHeaders(probe, h.identity.stripped); len(probe) == 0 {
			return nil, fmt.Errorf("header %q is trusted, and is set by this door or its policy", name)
		}
	}
	for _, name := range h.identity.pinned {
		if overrides.Drops(name) {
			return nil, fmt.Errorf("the policy never sees the header %q, which overrides the request; see trust_header", name)
		}
	}
	return overrides, nil
}

// newOverrides returns the overrides with trusted names. It fails on a name that cannot be trusted.
func newOverrides(trusted []string) (*httpguard.Overrides, error) {
	for _, name := range trusted {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, fmt.Errorf("%q is not a header name", name)
		}
	}
	return httpguard.NewOverrides(trusted)
}

// parseTrustHeader checks all names at once, so that the error has the line.
func (h *AuthHandler) parseTrustHeader(d *caddyfile.Dispenser) error {
	names := d.RemainingArgs()
	if len(names) == 0 {
		return d.ArgErr()
	}
	h.TrustHeaders = append(h.TrustHeaders, names...)
	if _, err := newOverrides(h.TrustHeaders); err != nil {
		return d.WrapErr(err)
	}
	return nil
}
