package caddymodule

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// resourceMetadata serves the protected resource metadata (RFC 9728), which tells a client where
// to get a token for this resource.
type resourceMetadata struct {
	resource, issuer string
	url, path        string
	keys             issuerKeys
	latest           atomic.Pointer[resourceDocument]
}

// resourceDocument is the document of one revision of the issuer's scopes.
type resourceDocument struct {
	revision string
	document *oauth.Document
}

// newResourceMetadata returns nil when the resource is named by something that has no such
// document: a name that is not an http or https URL.
func newResourceMetadata(resource, issuer string, keys issuerKeys) *resourceMetadata {
	url, path, ok := oauth.ResourceMetadataURL(resource)
	if !ok {
		return nil
	}
	return &resourceMetadata{resource: resource, issuer: issuer, url: url, path: path, keys: keys}
}

// serves reports whether r asks for the document.
func (m *resourceMetadata) serves(r *http.Request) bool {
	return m != nil && r.URL.Path == m.path
}

func (m *resourceMetadata) serve(w http.ResponseWriter, r *http.Request) error {
	document, err := m.document(r.Context())
	if err != nil {
		return caddyhttp.Error(http.StatusServiceUnavailable, err)
	}
	document.ServeHTTP(w, r)
	return nil
}

func (m *resourceMetadata) document(ctx context.Context) (*oauth.Document, error) {
	revision := m.keys.scopesRevision()
	if latest := m.latest.Load(); latest != nil && latest.revision == revision {
		return latest.document, nil
	}
	scopes, err := m.keys.scopesOf(ctx, m.resource)
	if err != nil {
		return nil, err
	}
	document := oauth.NewJSONDocument(oauth.NewResourceMetadata(m.resource, m.issuer, scopes), metadataMaxAge)
	m.latest.Store(&resourceDocument{revision, document})
	return document, nil
}
