package caddymodule

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/internal/remote"
)

// reachOptions are the options that say how a remote issuer is reached.
const reachOptions = "discovery, jwks_uri, jwks_origin, ca, request_header and http_network"

// Reach names an issuer whose tokens are accepted, and says how it is reached for its keys.
type Reach struct {
	// URL is the issuer's URL, exactly as in the `iss` of its tokens. Placeholders: {env.*} and {file.*}. Required.
	URL string `json:"issuer"`

	// Discovery is the URL of the issuer's metadata, if it is not at a well-known place (RFC 8414 §3) of the issuer's URL. The
	// document must name exactly this issuer. The issuer's URL may then be any name. Placeholders: {env.*} and {file.*}.
	// Default: the well-known places.
	Discovery string `json:"discovery,omitempty"`

	// JWKSURI is the URL of the issuer's key set (RFC 7517 §5). With it no metadata is read, so revocations that the issuer
	// publishes are not followed. The issuer's URL may then be any name. Placeholders: {env.*} and {file.*}. Default: the
	// `jwks_uri` of the metadata.
	JWKSURI string `json:"jwks_uri,omitempty"`

	// CA are PEM files with the certificates that requests to the issuer trust, instead of those of the system. A changed file
	// is read again. A file that cannot be read is an error. Placeholders: {env.*} and {file.*}. Default: the certificates
	// that the system trusts.
	CA []string `json:"ca,omitempty"`

	// RequestHeaders are sent with requests for the issuer's metadata, keys and revocations: header name to value. They go to
	// the origin of Discovery or JWKSURI, or else of the issuer, and to those of JWKSOrigins. A value must have a
	// placeholder {env.*} or {file.*}, so that no secret is in a config. Files are read for each request. Default: none.
	RequestHeaders map[string]string `json:"request_headers,omitempty"`

	// HTTPNetworks are the networks to which requests to the issuer may connect with http instead of https, as IP addresses
	// or prefixes such as 10.0.0.0/8. Who can change the traffic on such a network can make tokens of the issuer. No
	// request without TLS leaves these networks, whatever a name resolves to. Default: none, and http is only for loopback.
	HTTPNetworks []string `json:"http_networks,omitempty"`

	// JWKSOrigins are the origins, in addition to the issuer's own, that the `jwks_uri` of its metadata (RFC 8414 §2) may have.
	// Metadata that names another origin is refused, and no request is sent there. An origin is `https://host` or
	// `https://host:port`, in lower case, without the default port and without a path. It may be http with a loopback host
	// if the issuer is http with a loopback host. All handlers must name the same origins for an issuer. Placeholders:
	// {env.*} and {file.*}. Default: none.
	JWKSOrigins []string `json:"jwks_origins,omitempty"`

	// MaxStale is how long fetched keys are used after they are no longer fresh, while the issuer cannot be reached. During
	// that time a key that the issuer has withdrawn is still accepted. At least 1m, at most 720h. Default: 24h.
	MaxStale caddy.Duration `json:"max_stale,omitempty"`
}

// fields returns the fields that may have placeholders.
func (r *Reach) fields() []*string {
	return slices.Concat([]*string{&r.URL, &r.Discovery, &r.JWKSURI}, pointers(r.JWKSOrigins), pointers(r.CA), pointers(r.HTTPNetworks))
}

// known reports whether the way to the issuer has no placeholders.
func (r *Reach) known() bool {
	return !slices.ContainsFunc(r.fields(), func(field *string) bool { return hasPlaceholder(*field) })
}

// check checks the way to the issuer. Placeholders must have been replaced. It reads no files.
func (r *Reach) check() error {
	settings, err := r.settings()
	if err != nil {
		return err
	}
	return settings.Check()
}

// open returns the issuer, and checks the files of CA. It does not use the network.
func (r *Reach) open(app *App) (*remote.Issuer, error) {
	settings, err := r.settings()
	if err != nil {
		return nil, err
	}
	if err := settings.CheckCA(); err != nil {
		return nil, err
	}
	if r.MaxStale == 0 {
		r.MaxStale = caddy.Duration(discovery.DefaultStaleFor)
	}
	return app.remoteIssuer(settings)
}

// settings returns how the issuer is reached.
func (r *Reach) settings() (remote.Settings, error) {
	networks, err := remote.ParseNetworks(r.HTTPNetworks)
	if err != nil {
		return remote.Settings{}, fmt.Errorf("http_network: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(r.RequestHeaders)) {
		if !somePlaceholder.MatchString(r.RequestHeaders[name]) {
			return remote.Settings{}, fmt.Errorf("request_header %s: the value has no placeholder {env.*} or {file.*}; a secret must not be in a config", name)
		}
	}
	return remote.Settings{
		Source: discovery.Source{Issuer: r.URL, MetadataURL: r.Discovery, JWKSURI: r.JWKSURI, JWKSOrigins: r.JWKSOrigins},
		CA:     r.CA, Header: r.RequestHeaders, HTTPNetworks: networks,
		Resolve: func(value string) (string, error) { return caddy.NewReplacer().ReplaceOrErr(value, true, true) },
	}, nil
}
