// Package discovery is the client's side of an authorization server's metadata and keys. [Fetch] finds the server's
// endpoints from the issuer's URL, and [Keys] keeps the issuer's key set up to date; its caller says what a key set is.
// It imports internal/fetch and no other package of this module.
package discovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
)

// MaxBody is the number of bytes that metadata or keys may have, after any content coding is undone.
const MaxBody = 256 << 10

// Timeout bounds one discovery, and one fetch of keys with the discovery that it may need.
const Timeout = 10 * time.Second

// Metadata is the part of an authorization server's metadata (RFC 8414 §2) that this program uses.
type Metadata struct {
	// Issuer is the issuer's URL, exactly as it was asked for.
	Issuer string `json:"issuer"`
	// TokenEndpoint and JWKSURI may be "": RFC 8414 does not require them of every server.
	TokenEndpoint string `json:"token_endpoint"`
	JWKSURI       string `json:"jwks_uri"`
	// TokenEndpointAuthMethods are client authentication methods. Without any, the server supports client_secret_basic.
	TokenEndpointAuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	GrantTypesSupported      []string `json:"grant_types_supported"`
	ScopesSupported          []string `json:"scopes_supported"`
	// RevocationsURI is the feed of revocations. Only issuers of this program have one.
	RevocationsURI string `json:"m2m_revocations_uri"`
}

// Fetch fetches an issuer's metadata. It tries RFC 8414 first, whose document is about OAuth, and then OpenID Connect
// Discovery, which is the only one that many servers have. The document must name exactly this issuer (RFC 8414 §3.3).
// Its endpoints must be https; only an issuer that is http on loopback may have http endpoints on loopback. Fetch takes
// Timeout at most, reads at most MaxBody bytes of a document, and follows no redirect to another origin. An endpoint
// may be on any origin: a caller that sends a request there must call CheckEndpointOrigin first. A nil client uses
// http.DefaultTransport.
func Fetch(ctx context.Context, client *http.Client, issuer string) (*Metadata, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	locations, err := wellKnown(issuer)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, location := range locations {
		m, err := fetchMetadata(ctx, client, location, issuer)
		if err == nil {
			return m, nil
		}
		err = fmt.Errorf("fetching %s: %w", location, err)
		if failed != nil { // on one line, for logs
			err = fmt.Errorf("%w; %w", failed, err)
		}
		failed = err
	}
	return nil, failed
}

// CheckIssuer reports what is wrong with an issuer's URL, without a request: it must be https, or http on loopback, and
// have no query and no fragment (RFC 8414 §2). A slash at its end is part of it. The error does not repeat the URL.
func CheckIssuer(issuer string) error {
	_, err := wellKnown(issuer)
	return err
}

// wellKnown returns the locations where an issuer's metadata may be: RFC 8414 (§3.1) puts its path before the issuer's,
// OpenID Connect Discovery (§4) after it.
func wellKnown(issuer string) ([]string, error) {
	if strings.ContainsAny(issuer, "?#") {
		return nil, errors.New("issuer must be a URL without query and fragment")
	}
	u, err := parseEndpoint(issuer, issuer)
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

func fetchMetadata(ctx context.Context, client *http.Client, location, issuer string) (*Metadata, error) {
	doc, err := get(ctx, client, location, "")
	if err != nil {
		return nil, err
	}
	m := new(Metadata)
	if err := json.Unmarshal(doc.Body, m); err != nil {
		return nil, errors.New("the document is not a JSON object of metadata")
	}
	if err := m.check(issuer); err != nil {
		return nil, err
	}
	return m, nil
}

// check refuses a document that names another issuer: a server could use it to impersonate that issuer.
func (m *Metadata) check(issuer string) error {
	if m.Issuer != issuer {
		return errors.New("the document names another issuer")
	}
	for _, e := range []struct{ name, endpoint string }{
		{"token_endpoint", m.TokenEndpoint}, {"jwks_uri", m.JWKSURI}, {"m2m_revocations_uri", m.RevocationsURI},
	} {
		if e.endpoint == "" {
			continue
		}
		if _, err := parseEndpoint(e.endpoint, issuer); err != nil {
			return fmt.Errorf("%s %w", e.name, err)
		}
	}
	return nil
}

// checkOrigins returns an error if a door would fetch from an origin that is not allowed. It does not check the token
// endpoint: a door does not use it, and a client calls CheckEndpointOrigin. An issuer that has a feed of revocations
// serves it under its own URL.
func (m *Metadata) checkOrigins(jwksOrigins []string) error {
	if m.JWKSURI != "" {
		if err := CheckEndpointOrigin(m.JWKSURI, m.Issuer, jwksOrigins); err != nil {
			return fmt.Errorf("jwks_uri %w; name it in jwks_origin", err)
		}
	}
	if m.RevocationsURI != "" {
		if err := CheckEndpointOrigin(m.RevocationsURI, m.Issuer, nil); err != nil {
			return fmt.Errorf("m2m_revocations_uri %w", err)
		}
	}
	return nil
}
