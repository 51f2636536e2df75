package caddymodule

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/internal/remote"
)

// reachOptions are the options that say how a remote issuer is reached.
const reachOptions = "discovery, jwks_uri, jwks_origin, ca, request_header and http_network"

// reachFields returns the fields about the way to the issuer that may have placeholders.
func (t *TrustedIssuer) reachFields() []*string {
	return slices.Concat([]*string{&t.URL, &t.Discovery, &t.JWKSURI}, pointers(t.JWKSOrigins), pointers(t.CA), pointers(t.HTTPNetworks))
}

// known reports whether the way to the issuer has no placeholders.
func (t *TrustedIssuer) known() bool {
	return !slices.ContainsFunc(t.reachFields(), func(field *string) bool { return hasPlaceholder(*field) })
}

// checkReach checks the way to the issuer. Placeholders must have been replaced. It reads no files.
func (t *TrustedIssuer) checkReach() error {
	settings, err := t.reach()
	if err != nil {
		return err
	}
	if t.JWKSURI != "" && (t.RevocationMaxAge != 0 || t.RevocationStale != "") {
		return errors.New("revocation_max_age and revocation_stale have no effect beside jwks_uri: the metadata says where revocations are")
	}
	return settings.Check()
}

// reach returns how the issuer is reached.
func (t *TrustedIssuer) reach() (remote.Settings, error) {
	networks, err := remote.ParseNetworks(t.HTTPNetworks)
	if err != nil {
		return remote.Settings{}, fmt.Errorf("http_network: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(t.RequestHeaders)) {
		if !somePlaceholder.MatchString(t.RequestHeaders[name]) {
			return remote.Settings{}, fmt.Errorf("request_header %s: the value has no placeholder {env.*} or {file.*}; a secret must not be in a config", name)
		}
	}
	return remote.Settings{
		Source: discovery.Source{Issuer: t.URL, MetadataURL: t.Discovery, JWKSURI: t.JWKSURI, JWKSOrigins: t.JWKSOrigins},
		CA:     t.CA, Header: t.RequestHeaders, HTTPNetworks: networks,
		Resolve: func(value string) (string, error) { return caddy.NewReplacer().ReplaceOrErr(value, true, true) },
	}, nil
}
