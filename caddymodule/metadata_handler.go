package caddymodule

import (
	"errors"
	"net/http"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
)

// ResourceMetadataHandler is the directive m2m_resource_metadata. It serves the protected resource metadata (RFC 9728 §3) of
// m2m_auth handlers of this config, at the URLs that their challenges name. It passes other requests to the next handler.
// An m2m_auth serves its own document if it gets the request. It does not in handle_path, below a path, or behind a matcher
// that misses the document. If the config has documents for several audiences, the host of a request chooses among them.
type ResourceMetadataHandler struct {
	// Audience is the first audience of the m2m_auth whose document is served, for every host. An http or https URL.
	// Placeholders: {env.*} and {file.*}. Default: the documents of all m2m_auth handlers.
	Audience string `json:"audience,omitempty"`

	// Position is the file and the line of the Caddyfile, such as Caddyfile:12. The Caddyfile adapter sets it. Warnings about
	// the config name it; nothing else uses it. Default: none.
	Position string `json:"position,omitempty"`

	documents func() *door.Documents
	logs      accessLogs
}

// CaddyModule returns the ID and the constructor of the handler.
func (*ResourceMetadataHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.m2m_resource_metadata", New: func() caddy.Module { return new(ResourceMetadataHandler) }}
}

// Provision finds the app. It fails on an audience that can have no metadata.
func (h *ResourceMetadataHandler) Provision(ctx caddy.Context) error {
	if err := replaceAll(caddy.NewReplacer(), &h.Audience); err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return err
	}
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	// Doors are provisioned before and after this handler, and all of them before the first request.
	h.documents = sync.OnceValue(func() *door.Documents { return door.NewDocuments(app.runtimeDoors(), h.Audience, caddyHost{}) })
	h.logs = newAccessLogs(ctx)
	return nil
}

func (h *ResourceMetadataHandler) check() error {
	if h.Audience == "" || hasPlaceholder(h.Audience) {
		return nil
	}
	if _, _, ok := oauth.ResourceMetadataURL(h.Audience); !ok {
		return errors.New("the audience is not an http or https URL, so it has no metadata")
	}
	return nil
}

// ServeHTTP serves the documents.
func (h *ResourceMetadataHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return h.logs.serve(w, r, func(w http.ResponseWriter, r *http.Request) error { return h.documents().ServeHTTP(w, r, next) })
}

var (
	_ caddy.Provisioner           = (*ResourceMetadataHandler)(nil)
	_ caddyhttp.MiddlewareHandler = (*ResourceMetadataHandler)(nil)
)
