package caddymodule

import (
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// resourceMetadata serves the protected resource metadata (RFC 9728), which tells a client where
// to get a token for this resource.
type resourceMetadata struct {
	resource, issuer string
	url, path        string
	keys             issuerKeys
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
	scopes, err := m.keys.scopesOf(ctx, m.resource)
	if err != nil {
		return nil, err
	}
	return oauth.NewJSONDocument(oauth.NewResourceMetadata(m.resource, m.issuer, scopes), metadataMaxAge), nil
}
