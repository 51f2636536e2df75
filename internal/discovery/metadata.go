// Package discovery is the client's side of an authorization server's metadata and keys. [Fetch] finds the server's
// endpoints from the issuer's URL, and [Keys] keeps the issuer's key set up to date; its caller says what a key set is.
// It imports internal/fetch and no other package of this module.
package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
)

// MaxBody is the number of bytes that metadata or keys may have, after any content coding is undone.
const MaxBody = 256 << 10

// Timeout bounds one discovery, and one fetch of keys with the discovery that it may need.
const Timeout = 10 * time.Second

// Metadata is the part of an authorization server's metadata (RFC 8414 §2) that this program uses.
type Metadata struct {
	// Issuer is the issuer, exactly as it was asked for.
	Issuer string
	// TokenEndpoint and JWKSURI may be "": RFC 8414 does not require them of every server.
	TokenEndpoint string
	JWKSURI       string
	// TokenEndpointAuthMethods are client authentication methods. Without any, the server supports client_secret_basic.
	TokenEndpointAuthMethods []string
	GrantTypesSupported      []string
	ScopesSupported          []string
	// RevocationsURI is the feed of revocations. Only issuers of this program have one.
	RevocationsURI string
}

// wireMetadata is a metadata document. A member that only some callers use does not matter to the others if it is odd.
type wireMetadata struct {
	Issuer                   string        `json:"issuer"`
	TokenEndpoint            odd[string]   `json:"token_endpoint"`
	JWKSURI                  string        `json:"jwks_uri"`
	TokenEndpointAuthMethods odd[[]string] `json:"token_endpoint_auth_methods_supported"`
	GrantTypesSupported      odd[[]string] `json:"grant_types_supported"`
	ScopesSupported          odd[[]string] `json:"scopes_supported"`
	RevocationsURI           string        `json:"m2m_revocations_uri"`
}

// odd is a member that counts as missing if it has another type.
type odd[T any] struct{ value T }

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (o *odd[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadValue()
	if err == nil && json.Unmarshal(value, &o.value) != nil {
		*o = odd[T]{}
	}
	return err
}

// Fetch fetches an issuer's metadata. It tries RFC 8414 first, whose document is about OAuth, and then OpenID Connect
// Discovery, which is the only one that many servers have. The document must name exactly this issuer (RFC 8414 §3.3).
// Its endpoints must be https; only an issuer that is http on loopback may have http endpoints on loopback. Fetch takes
// Timeout at most, reads at most MaxBody bytes of a document, and follows no redirect to another origin. An endpoint
// may be on any origin: a caller that sends a request there must call CheckEndpointOrigin first. A nil client uses
// http.DefaultTransport.
func Fetch(ctx context.Context, client *http.Client, issuer string) (*Metadata, error) {
	s := Source{Issuer: issuer}
	return s.fetch(ctx, client, func(m *Metadata) error {
		return s.checkEndpoint("token_endpoint", m.TokenEndpoint)
	})
}

// fetch is Fetch for any source. A document that check refuses does not count.
func (s Source) fetch(ctx context.Context, client *http.Client, check func(*Metadata) error) (*Metadata, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	locations, err := s.metadataURLs()
	if err != nil {
		return nil, err
	}
	var failed error
	for _, location := range locations {
		m, err := s.fetchMetadata(ctx, client, location)
		if err == nil {
			err = check(m)
		}
		if err == nil {
			return m, nil
		}
		err = fmt.Errorf("fetching %s: %w", withoutQuery(location), err)
		if failed != nil { // on one line, for logs
			err = fmt.Errorf("%w; %w", failed, err)
		}
		failed = err
	}
	return nil, failed
}

func (s Source) metadataURLs() ([]string, error) {
	if s.MetadataURL != "" {
		return []string{s.MetadataURL}, nil
	}
	return s.wellKnown()
}

// wellKnown returns the locations where an issuer's metadata may be: RFC 8414 (§3.1) puts its path before the issuer's,
// OpenID Connect Discovery (§4) after it.
func (s Source) wellKnown() ([]string, error) {
	if strings.ContainsAny(s.Issuer, "?#") {
		return nil, errors.New("issuer must be a URL without query and fragment")
	}
	u, err := parseEndpoint(s.Issuer, s.plain())
	if err != nil {
		return nil, fmt.Errorf("issuer %w", err)
	}
	origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + "/.well-known/openid-configuration",
	}, nil
}

// get fetches a document of an issuer, unless it is still the one that etag names.
func get(ctx context.Context, client *http.Client, location, etag string) (*fetch.Document, error) {
	accept := http.Header{"Accept": {"application/json, application/jwk-set+json, */*;q=0.1"}}
	return fetch.Get(ctx, client, fetch.Request{URL: location, Header: accept, ETag: etag, MaxSize: MaxBody})
}

func (s Source) fetchMetadata(ctx context.Context, client *http.Client, location string) (*Metadata, error) {
	doc, err := get(ctx, client, location, "")
	if err != nil {
		return nil, err
	}
	var w wireMetadata
	if err := json.Unmarshal(doc.Body, &w); err != nil {
		return nil, errors.New("the document is not a JSON object of metadata")
	}
	m := &Metadata{
		Issuer: w.Issuer, TokenEndpoint: w.TokenEndpoint.value, JWKSURI: w.JWKSURI, RevocationsURI: w.RevocationsURI,
		TokenEndpointAuthMethods: w.TokenEndpointAuthMethods.value, GrantTypesSupported: w.GrantTypesSupported.value,
		ScopesSupported: w.ScopesSupported.value,
	}
	return m, s.check(m)
}

// check refuses a document that names another issuer: a server could use it to impersonate that issuer.
func (s Source) check(m *Metadata) error {
	if m.Issuer == "" {
		return errors.New("the document names no issuer")
	}
	if m.Issuer != s.Issuer {
		return fmt.Errorf("the document names another issuer, %s", shown(m.Issuer))
	}
	return cmp.Or(s.checkEndpoint("jwks_uri", m.JWKSURI), s.checkEndpoint("m2m_revocations_uri", m.RevocationsURI))
}

// checkEndpoint checks the URL of an endpoint, if the document has it.
func (s Source) checkEndpoint(name, endpoint string) error {
	if endpoint == "" {
		return nil
	}
	if _, err := parseEndpoint(endpoint, s.plain()); err != nil {
		return fmt.Errorf("%s %w", name, err)
	}
	return nil
}
