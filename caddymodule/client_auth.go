package caddymodule

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-m2m/caddy-m2m/internal/clientkeys"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	replay "github.com/caddy-m2m/caddy-m2m/internal/once"
	"github.com/caddy-m2m/caddy-m2m/internal/remote"
	"github.com/caddy-m2m/caddy-m2m/internal/suggest"
)

// maxUsed is how many assertions that were used and have not expired this process remembers: some 25 MiB.
const maxUsed = 1 << 18

// The keys that clients publish, and the assertions that were used, of all issuers of this process. They survive a reload:
// otherwise a reload would let an assertion be used again.
var (
	clientKeys     = clientkeys.New()
	usedAssertions = replay.New(maxUsed)
)

// ClientAuthSettings say how clients authenticate. They are part of an Issuer.
type ClientAuthSettings struct {
	// AuthMethods are the only methods by which clients authenticate at the issuer's endpoints: any of client_secret_basic,
	// client_secret_post, private_key_jwt, federated_jwt, spiffe_jwt, tls_client_auth and self_signed_tls_client_auth. The
	// metadata names them. Without the first two, the issuer takes no secrets. Default: all that the issuer can take.
	AuthMethods []string `json:"auth_methods,omitempty"`

	// AssertionAudience is token_endpoint to accept also the URL of the token endpoint as the aud of an assertion of a client
	// (private_key_jwt), which older clients send. Another server can claim that URL as its own to get assertions that work
	// here (CVE-2025-27370). Default: aud must be the issuer's URL.
	AssertionAudience string `json:"assertion_audience,omitempty"`

	// JWKSURINetworks are networks or addresses to which a client's jwks_uri may lead although they are not public, such as
	// 10.0.0.0/8. Requests to other private, loopback and link-local addresses are refused, whatever the name resolves to.
	// Placeholders: {env.*} and {file.*}. Default: none; for an issuer on http, which is on loopback, loopback is allowed.
	JWKSURINetworks []string `json:"jwks_uri_networks,omitempty"`
}

// tokenEndpoint is the only value of AssertionAudience.
const tokenEndpoint = "token_endpoint"

// setClientAuth checks the settings and adds them to the config of an issuer.
func (s *ClientAuthSettings) setClientAuth(c *issuer.Config) error {
	if err := errors.Join(s.checkMethods(), s.checkAssertionAudience()); err != nil {
		return err
	}
	networks, err := s.networks()
	if err != nil {
		return err
	}
	if err := s.checkEffect(); err != nil {
		return err
	}
	c.AuthMethods, c.TokenEndpointAudience = s.AuthMethods, s.AssertionAudience == tokenEndpoint
	c.ClientKeys, c.Used = clientKeys, usedAssertions
	c.JWKSAllowed = clientkeys.Allowed{Networks: networks, Loopback: strings.HasPrefix(c.URL, "http://")}
	return nil
}

func (s *ClientAuthSettings) checkMethods() error {
	for i, method := range s.AuthMethods {
		if !slices.Contains(oauth.AuthMethods, method) {
			nearest := suggest.Nearest(method, slices.Values(oauth.AuthMethods))
			if nearest != "" {
				return fmt.Errorf("auth_methods: unknown method %q; did you mean %q?", method, nearest)
			}
			return fmt.Errorf("auth_methods: unknown method %q; it must be one of %s", method, strings.Join(oauth.AuthMethods, ", "))
		}
		if slices.Contains(s.AuthMethods[:i], method) {
			return fmt.Errorf("auth_methods: %s is given twice", method)
		}
	}
	return nil
}

func (s *ClientAuthSettings) checkAssertionAudience() error {
	if s.AssertionAudience != "" && s.AssertionAudience != tokenEndpoint {
		return errors.New("assertion_audience: the only value is " + tokenEndpoint)
	}
	return nil
}

func (s *ClientAuthSettings) networks() ([]netip.Prefix, error) {
	networks, err := remote.ParseNetworks(s.JWKSURINetworks)
	if err != nil {
		return nil, fmt.Errorf("jwks_uri_network: %w", err)
	}
	return networks, nil
}

// checkEffect refuses settings that have no effect beside the methods.
func (s *ClientAuthSettings) checkEffect() error {
	takes := func(method string) bool { return len(s.AuthMethods) == 0 || slices.Contains(s.AuthMethods, method) }
	switch {
	case s.AssertionAudience != "" && !takes(oauth.PrivateKeyJWT):
		return errors.New("assertion_audience has no effect: auth_methods does not have private_key_jwt")
	case len(s.JWKSURINetworks) > 0 && !takes(oauth.PrivateKeyJWT) && !takes(oauth.SelfSignedTLSClientAuth):
		return errors.New("jwks_uri_network has no effect: auth_methods has neither private_key_jwt nor self_signed_tls_client_auth")
	}
	return nil
}

// subdirectives are those of an issuer that set the settings.
func (s *ClientAuthSettings) subdirectives() subdirectives {
	return subdirectives{
		"auth_methods":       once(s.checked(someArgs(&s.AuthMethods))),
		"assertion_audience": once(s.checked(oneArg(&s.AssertionAudience))),
		"jwks_uri_network":   once(s.checked(someArgs(&s.JWKSURINetworks))),
	}
}

// checked checks the settings after each line, so that an error names the line.
func (s *ClientAuthSettings) checked(parse parser) parser {
	return func(d *caddyfile.Dispenser) error {
		if err := parse(d); err != nil {
			return err
		}
		err := errors.Join(s.checkMethods(), s.checkAssertionAudience())
		if err == nil && !slices.ContainsFunc(s.JWKSURINetworks, hasPlaceholder) {
			_, err = s.networks()
		}
		if err == nil {
			err = s.checkEffect()
		}
		return located(d, err)
	}
}
