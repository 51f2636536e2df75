package discovery

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
)

// Source says who an issuer is, and where its metadata and keys are.
type Source struct {
	// Issuer is the issuer's name in its tokens and its metadata. It is a URL, unless MetadataURL or JWKSURI is set.
	Issuer string
	// MetadataURL is where the metadata is. Default: the well-known places of the issuer's URL.
	MetadataURL string
	// JWKSURI is where the keys are. With it no metadata is read. Default: where the metadata says.
	JWKSURI string
	// JWKSOrigins are origins that the jwks_uri of the metadata may be on, beside that of the issuer and of MetadataURL.
	JWKSOrigins []string
	// PlainHTTP allows http on any host. The transport must then restrict where it connects to. Default: http is allowed on
	// loopback, if the URL that the operator names is so too.
	PlainHTTP bool
}

// Check returns what is wrong with a source, without a request. The error does not hold user information.
func (s Source) Check() error {
	switch {
	case s.MetadataURL != "" && s.JWKSURI != "":
		return errors.New("discovery and jwks_uri exclude each other: with jwks_uri no metadata is read")
	case s.JWKSURI != "" && len(s.JWKSOrigins) > 0:
		return errors.New("jwks_origin has no effect beside jwks_uri: it is about the jwks_uri of metadata")
	}
	if err := s.checkNamed(); err != nil {
		return err
	}
	for _, origin := range s.JWKSOrigins {
		if err := checkOrigin(origin, s.plain()); err != nil {
			return fmt.Errorf("jwks_origin %q %w", withoutUser(origin), err)
		}
	}
	if s.PlainHTTP && !slices.ContainsFunc(append(slices.Clone(s.JWKSOrigins), s.named()), isPlain) {
		return errors.New("http_network has no effect: none of the issuer's URLs is http")
	}
	return nil
}

// checkNamed checks the issuer and the URL that is fetched first.
func (s Source) checkNamed() error {
	if s.MetadataURL == "" && s.JWKSURI == "" {
		_, err := s.wellKnown()
		return err
	}
	for name, location := range map[string]string{"discovery": s.MetadataURL, "jwks_uri": s.JWKSURI} {
		if location == "" {
			continue
		}
		if _, err := parseEndpoint(location, s.plain()); err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
	}
	if u, err := url.Parse(s.Issuer); err == nil && u.User != nil {
		return errors.New("issuer must not hold user information")
	}
	if s.Issuer == "" || strings.ContainsFunc(s.Issuer, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return errors.New("issuer must not be empty or hold white space")
	}
	return nil
}

// named returns the URL that the operator names and that is fetched first.
func (s Source) named() string {
	switch {
	case s.JWKSURI != "":
		return s.JWKSURI
	case s.MetadataURL != "":
		return s.MetadataURL
	}
	return s.Issuer
}

// plain returns where the URLs of this source may be http.
func (s Source) plain() plainHTTP {
	if s.PlainHTTP {
		return anyHTTP
	}
	return plainOf(s.named())
}

// origins returns the origins that are the source's own.
func (s Source) origins() []string {
	var own []string
	for _, location := range []string{s.Issuer, s.MetadataURL} {
		if u, err := url.Parse(location); err == nil && u.Host != "" {
			own = append(own, fetch.Origin(u))
		}
	}
	return own
}

// NamedOrigins returns the origins that the operator names: that of the URL that is fetched first, and JWKSOrigins.
func (s Source) NamedOrigins() []string {
	named := s.JWKSOrigins
	if u, err := url.Parse(s.named()); err == nil {
		named = append(slices.Clone(named), fetch.Origin(u))
	}
	return named
}

// checkOrigins returns an error if a door would fetch from an origin that is not allowed. It does not check the token
// endpoint: a door does not use it, and a client calls CheckEndpointOrigin. An issuer that has a feed of revocations
// serves it beside its metadata.
func (s Source) checkOrigins(m *Metadata) error {
	if err := checkEndpointOrigin(m.JWKSURI, append(s.origins(), s.JWKSOrigins...)); err != nil {
		return fmt.Errorf("jwks_uri %w; name it in jwks_origin", err)
	}
	if m.RevocationsURI != "" {
		if err := checkEndpointOrigin(m.RevocationsURI, s.origins()); err != nil {
			return fmt.Errorf("m2m_revocations_uri %w", err)
		}
	}
	return nil
}

// shown returns a text of a document for an error: quoted, without user information and not too long.
func shown(text string) string {
	const longest = 200
	if text = withoutUser(text); len(text) > longest {
		return fmt.Sprintf("%q...", text[:longest])
	}
	return fmt.Sprintf("%q", text)
}

// withoutQuery returns a URL for an error. Its query may hold a key, which comes from a placeholder.
func withoutQuery(location string) string {
	before, _, _ := strings.Cut(location, "?")
	return before
}

// withoutUser removes the user information of a URL. It may be a password.
func withoutUser(location string) string {
	at := strings.LastIndexByte(location, '@')
	if u, err := url.Parse(location); at < 0 || err == nil && u.User == nil {
		return location
	}
	scheme, _, found := strings.Cut(location[:at], "//")
	if !found {
		return location[at+1:]
	}
	return scheme + "//" + location[at+1:]
}
