package door

import (
	"fmt"
	"net/http"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
)

// strip removes the client's headers that only the door or a later handler may set, and those that override the URL or
// the host. It runs before anything else.
func (d *Door) strip(r *http.Request) {
	d.overrides.Strip(r.Header)
	d.identity.strip(r)
	d.stripCertificate(r)
}

// ambiguity returns the refusal of a request that the upstream may take for another one, nil if it cannot.
func (d *Door) ambiguity(r *http.Request) *Refusal {
	if why := httpguard.AmbiguousHost(r); why != "" {
		return ambiguous(reasonAmbiguousHost, why)
	}
	return d.ambiguityOfTarget(r)
}

// ambiguityOfTarget is ambiguity without the host.
func (d *Door) ambiguityOfTarget(r *http.Request) *Refusal {
	if why := d.ambiguousPath(r); why != "" {
		return ambiguous(reasonAmbiguousPath, why)
	}
	if why := d.overrides.AmbiguousMethod(r); why != "" {
		return ambiguous(reasonAmbiguousMethod, why)
	}
	return nil
}

// ambiguousPath looks at the path as it is now, and as it was received if Caddy has changed it. Directives such as
// handle_path clean a path before they strip it, and an upstream may read it as it was received: FastCGI has that one
// in REQUEST_URI.
func (d *Door) ambiguousPath(r *http.Request) string {
	check := httpguard.AmbiguousPath
	withSlash := d.routes.takesEncodedSlash(r)
	if withSlash {
		check = httpguard.AmbiguousSegments
	}
	if _, received := d.Host.Received(r); received != nil && (received.Path != r.URL.Path || received.RawPath != r.URL.RawPath) {
		if why := check(received); why != "" {
			return why
		}
		if withSlash && !d.ForwardAuth.describes() && !movedOnly(received, r.URL) {
			return "an encoded slash in a path that was changed before"
		}
	}
	return check(r.URL)
}

// trustHeaders fails on a trusted name that overrides nothing, and on a name that must reach the upstream or the policy
// but does not.
func (d *Door) trustHeaders() (*httpguard.Overrides, error) {
	overrides, err := newOverrides(d.TrustHeaders)
	if err != nil {
		return nil, err
	}
	for _, name := range d.TrustHeaders {
		probe := http.Header{http.CanonicalHeaderKey(name): nil}
		if httpguard.StripIdentityHeaders(probe, d.identity.stripped); len(probe) == 0 {
			return nil, fmt.Errorf("header %q is trusted, and is set by this door or its policy", name)
		}
	}
	for _, name := range d.identity.pinned {
		if overrides.Drops(name) {
			return nil, fmt.Errorf("the policy never sees the header %q, which overrides the request; see trust_header", name)
		}
	}
	return overrides, nil
}

// CheckTrustHeaders fails on a header that cannot be trusted.
func CheckTrustHeaders(names []string) error {
	_, err := newOverrides(names)
	return err
}

func newOverrides(trusted []string) (*httpguard.Overrides, error) {
	for _, name := range trusted {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, fmt.Errorf("%q is not a header name", name)
		}
	}
	return httpguard.NewOverrides(trusted)
}
