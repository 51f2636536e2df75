package door

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/caddy-m2m/caddy-m2m/internal/httpguard"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// resourceMetadata serves the protected resource metadata (RFC 9728), which tells a client where to get a token for
// this resource.
type resourceMetadata struct {
	resource  string
	issuers   []*TrustedIssuer
	binding   oauth.ResourceBinding
	url, path string
	host      string // of the URL, folded
	latest    atomic.Pointer[metadataDocument]
}

// metadataDocument is the document of one revision of the issuers' scopes.
type metadataDocument struct {
	revision string
	document *oauth.Document
}

// newResourceMetadata returns nil if the name of the resource is not an http or https URL. Such a resource has no
// metadata.
func newResourceMetadata(resource string, issuers []*TrustedIssuer, binding oauth.ResourceBinding) *resourceMetadata {
	location, path, ok := oauth.ResourceMetadataURL(resource)
	if !ok {
		return nil
	}
	m := &resourceMetadata{resource: resource, issuers: issuers, binding: binding, url: location, path: path}
	if u, err := url.Parse(location); err == nil {
		m.host = httpguard.FoldHost(u.Host)
	}
	return m
}

// serves reports whether r asks for the document.
func (m *resourceMetadata) serves(r *http.Request) bool {
	return m != nil && r.URL.Path == m.path
}

// answer answers with the document, or with 503 if the scopes of an issuer are not available.
func (m *resourceMetadata) answer(w http.ResponseWriter, r *http.Request, host Host) error {
	httpguard.BoundBody(w, r)
	if err := m.serve(w, r); err != nil {
		return host.Error(http.StatusServiceUnavailable, err)
	}
	return nil
}

func (m *resourceMetadata) serve(w http.ResponseWriter, r *http.Request) (err error) {
	oauth.Public(func(w http.ResponseWriter, r *http.Request) {
		var document *oauth.Document
		if document, err = m.document(r.Context()); err == nil {
			document.ServeHTTP(w, r)
		}
	})(w, r)
	return err
}

func (m *resourceMetadata) document(ctx context.Context) (*oauth.Document, error) {
	revision := m.revision()
	if latest := m.latest.Load(); latest != nil && latest.revision == revision {
		return latest.document, nil
	}
	var urls, scopes []string
	for _, t := range m.issuers {
		more, err := t.Scopes(ctx, m.resource)
		if err != nil {
			return nil, err
		}
		if scopes = append(scopes, more...); isWebURL(t.Expect.Issuer) {
			urls = append(urls, t.Expect.Issuer)
		}
	}
	slices.Sort(scopes)
	document := oauth.NewJSONDocument(oauth.NewResourceMetadata(m.resource, urls, slices.Compact(scopes), m.binding), oauth.MetadataMaxAge)
	m.latest.Store(&metadataDocument{revision, document})
	return document, nil
}

// isWebURL reports whether an issuer is a URL, as RFC 9728 §2 requires of authorization_servers. Where the config says where
// its keys are, it may be any name, which clients could not parse.
func isWebURL(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// revision changes when the scopes of any issuer may have changed.
func (m *resourceMetadata) revision() string {
	if len(m.issuers) == 1 {
		return m.issuers[0].ScopesRevision()
	}
	revisions := make([]string, len(m.issuers))
	for n, t := range m.issuers {
		revisions[n] = t.ScopesRevision()
	}
	return strings.Join(revisions, " ")
}
