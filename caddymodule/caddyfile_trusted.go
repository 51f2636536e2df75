package caddymodule

import (
	"errors"
	"maps"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-m2m/caddy-m2m/internal/remote"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// UnmarshalCaddyfile parses one issuer; parseAuthHandler shows the grammar.
func (t *TrustedIssuer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if err := oneArg(&t.URL)(d); err != nil {
		return err
	}
	lines := make(lineOf)
	options := subdirectives{
		"audience":           once(t.checked(someArgs(&t.Audience))),
		"typ":                once(t.checked(someArgs(&t.Types))),
		"scope_claim":        once(t.checked(oneArg(&t.ScopeClaim))),
		"client_claim":       once(t.checked(oneArg(&t.ClientClaim))),
		"client_id":          once(t.checked(someArgs(&t.ClientIDs))),
		"allow_missing":      once(lines.note(t.checked(someArgs(&t.AllowMissing)))),
		"alg":                once(t.checked(someArgs(&t.Algs))),
		"ignore_parameter":   once(t.checked(someArgs(&t.IgnoreParameters))),
		"revocation_max_age": once(lines.note(duration(&t.RevocationMaxAge, minMaxStale, maxMaxStale))),
		"revocation_stale":   once(lines.note(t.checked(oneArg(&t.RevocationStale)))),
	}
	maps.Copy(options, t.Reach.options(lines))
	if err := parseBlock(d, options); err != nil {
		return err
	}
	if err := t.check(); err != nil { // of lines that need each other
		return lines.located("allow_missing", d, err)
	}
	if len(lines) == 0 || !t.known() {
		return nil
	}
	return lines.ofOption(d, t.checkReach())
}

// options returns the options of the way to the issuer. Those whose check needs other lines are noted.
func (r *Reach) options(lines lineOf) subdirectives {
	return subdirectives{
		"discovery":      once(lines.note(oneArg(&r.Discovery))),
		"jwks_uri":       once(lines.note(oneArg(&r.JWKSURI))),
		"jwks_origin":    once(lines.note(someArgs(&r.JWKSOrigins))),
		"ca":             once(someArgs(&r.CA)),
		"request_header": repeatable(lines.note(r.parseRequestHeader)),
		"http_network":   once(lines.note(someArgs(&r.HTTPNetworks))),
		"max_stale":      once(duration(&r.MaxStale, minMaxStale, maxMaxStale)),
	}
}

// lineOf remembers where options are whose check needs the lines after them.
type lineOf map[string]*caddyfile.Dispenser

func (l lineOf) note(parse parser) parser {
	return func(d *caddyfile.Dispenser) error {
		at := *d
		l[d.Val()] = &at
		return parse(d)
	}
}

// ofOption adds the line of the option with whose name an error begins.
func (l lineOf) ofOption(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	option, _, _ := strings.Cut(err.Error(), " ")
	return l.located(strings.TrimSuffix(option, ":"), d, err)
}

// located adds the line of an option to an error, or that where the parser is.
func (l lineOf) located(option string, d *caddyfile.Dispenser, err error) error {
	if at := l[option]; at != nil {
		d = at
	}
	return d.WrapErr(err)
}

// parseRequestHeader checks the name at once, so that an error names its line.
func (r *Reach) parseRequestHeader(d *caddyfile.Dispenser) error {
	var name, value string
	if !d.AllArgs(&name, &value) {
		return d.ArgErr()
	}
	if _, twice := r.RequestHeaders[name]; twice {
		return d.Errf("header %q is given twice", name)
	}
	if r.RequestHeaders == nil {
		r.RequestHeaders = make(map[string]string)
	}
	r.RequestHeaders[name] = value
	return located(d, remote.CheckHeader(name))
}

// checked checks the settings after each line, so that an error names the line. What the line needs may come later.
func (t *TrustedIssuer) checked(parse parser) parser {
	return func(d *caddyfile.Dispenser) error {
		if err := parse(d); err != nil {
			return err
		}
		if err := t.check(); !errors.Is(err, token.ErrNeedsClients) {
			return located(d, err)
		}
		return nil
	}
}
