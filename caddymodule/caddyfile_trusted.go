package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
)

// parseIssuer adds an issuer. Several, or one with options, are a list.
func (h *AuthHandler) parseIssuer(d *caddyfile.Dispenser) error {
	t := new(TrustedIssuer)
	if err := t.UnmarshalCaddyfile(d); err != nil {
		return err
	}
	for _, other := range h.Issuers {
		if other.URL == t.URL {
			return d.Errf("issuer %q is given twice", credential.WithoutUserInfo(t.URL))
		}
	}
	h.Issuers = append(h.Issuers, t)
	return nil
}

// settleIssuer makes a list of one that is nothing but its URL the door's issuer.
func (h *AuthHandler) settleIssuer() {
	if len(h.Issuers) == 1 && len(h.Issuers[0].Audience) == 0 && !h.Issuers[0].hasQuirks() {
		h.Issuer, h.Issuers = h.Issuers[0].URL, nil
	}
}

// UnmarshalCaddyfile parses one issuer; parseAuthHandler shows the grammar.
func (t *TrustedIssuer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if !d.AllArgs(&t.URL) {
		return d.ArgErr()
	}
	return parseBlock(d, subdirectives{
		"audience":      once(t.checked(func(d *caddyfile.Dispenser) error { return someArgs(d, &t.Audience) })),
		"typ":           once(t.checked(func(d *caddyfile.Dispenser) error { return someArgs(d, &t.Types) })),
		"scope_claim":   once(t.checked(func(d *caddyfile.Dispenser) error { return oneArg(d, &t.ScopeClaim) })),
		"client_claim":  once(t.checked(func(d *caddyfile.Dispenser) error { return oneArg(d, &t.ClientClaim) })),
		"allow_missing": once(t.checked(func(d *caddyfile.Dispenser) error { return someArgs(d, &t.AllowMissing) })),
		"jwks_origin":   once(t.parseOrigins),
		"max_stale": once(func(d *caddyfile.Dispenser) error {
			return duration(d, &t.MaxStale, minMaxStale, maxMaxStale)
		}),
		"revocation_max_age": once(func(d *caddyfile.Dispenser) error {
			return duration(d, &t.RevocationMaxAge, minMaxStale, maxMaxStale)
		}),
		"revocation_stale": once(t.checked(func(d *caddyfile.Dispenser) error { return oneArg(d, &t.RevocationStale) })),
	})
}

// parseOrigins checks the origins at once, so that the error has their line. Where they or the issuer's URL have
// placeholders, Provision checks them.
func (t *TrustedIssuer) parseOrigins(d *caddyfile.Dispenser) error {
	if err := someArgs(d, &t.JWKSOrigins); err != nil {
		return err
	}
	if strings.Contains(t.URL+strings.Join(t.JWKSOrigins, ""), "{") {
		return nil
	}
	if err := t.checkOrigins(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// checked holds what was parsed against the rules at once, for the sake of the line.
func (t *TrustedIssuer) checked(parse func(*caddyfile.Dispenser) error) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if err := parse(d); err != nil {
			return err
		}
		if err := t.check(); err != nil {
			return d.WrapErr(err)
		}
		return nil
	}
}

// someArgs takes one argument or more.
func someArgs(d *caddyfile.Dispenser, target *[]string) error {
	if *target = d.RemainingArgs(); len(*target) == 0 {
		return d.ArgErr()
	}
	return nil
}

var _ caddyfile.Unmarshaler = (*TrustedIssuer)(nil)
