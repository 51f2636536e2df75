package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// parseIssuerHandler parses the directive:
//
//	m2m_issuer [<matcher>] [<issuer-url>]
func parseIssuerHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(IssuerHandler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if app, known := declaredApp(h); known && !hasPlaceholder(handler.Issuer) {
		if _, err := app.issuer(handler.Issuer); err != nil {
			return nil, atDirective(h, err)
		}
	}
	return handler, nil
}

// atDirective adds the place of the directive to an error about the whole of it.
func atDirective(h httpcaddyfile.Helper, err error) error {
	h.Reset()
	h.Next()
	return h.WrapErr(err)
}

// declaredApp is the app of the Caddyfile's global options, so that an issuer that is not there is an
// error with a line. It is not known before placeholders in its issuers' URLs are resolved.
func declaredApp(h httpcaddyfile.Helper) (app *App, known bool) {
	app = new(App)
	option, declared := h.Option("m2m").(httpcaddyfile.App)
	if !declared {
		return app, true
	}
	if err := caddy.StrictUnmarshalJSON(option.Value, app); err != nil {
		return nil, false
	}
	for _, issuer := range app.Issuers {
		if hasPlaceholder(issuer.URL) {
			return nil, false
		}
	}
	return app, true
}

// UnmarshalCaddyfile parses the directive; parseIssuerHandler shows the grammar.
func (h *IssuerHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		h.Issuer = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	return parseBlock(d, nil)
}

// parseReadyHandler parses the directive:
//
//	m2m_ready [<matcher>]
func parseReadyHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(ReadyHandler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile parses the directive, which has nothing to set.
func (*ReadyHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return parseBlock(d, nil)
}

// parseAuthHandler parses the directive:
//
//	m2m_auth [<matcher>] {
//		issuer   <url> {
//			audience      <url...>
//			typ           <typ...>
//			scope_claim   <claim>
//			client_claim  <claim>
//			allow_missing <name...>
//			max_stale     <duration>
//		}
//		audience <url...>
//		require  [<METHOD>] <pattern> <scope...>
//		policy   [<path...>] {
//			input_header    <name...>
//			upstream_header <name...>
//			bundle          <file|url> { … }
//			observe
//			timeout         <duration>
//			verify
//		}
//		leeway   <duration>
//		header   <name> <claim> | off
//		trust_header <name...>
//		keep_token
//		keep_streams
//		metadata off
//	}
func parseAuthHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(AuthHandler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if app, known := declaredApp(h); known {
		if err := handler.checkIssuers(app); err != nil {
			return nil, atDirective(h, err)
		}
	}
	return handler, nil
}

// UnmarshalCaddyfile parses the directive; parseAuthHandler shows the grammar.
func (h *AuthHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.ArgErr()
	}
	defer h.settleIssuer()
	return parseBlock(d, subdirectives{
		"issuer":       repeatable(h.parseIssuer),
		"audience":     once(func(d *caddyfile.Dispenser) error { return someArgs(d, &h.Audience) }),
		"require":      repeatable(h.parseRequire),
		"policy":       once(h.parsePolicy),
		"leeway":       once(h.parseLeeway),
		"header":       repeatable(h.parseHeader),
		"trust_header": repeatable(h.parseTrustHeader),
		"keep_token": once(func(d *caddyfile.Dispenser) error {
			h.KeepToken = true
			return noArgs(d)
		}),
		"keep_streams": once(func(d *caddyfile.Dispenser) error {
			h.KeepStreams = true
			return noArgs(d)
		}),
		"metadata": once(func(d *caddyfile.Dispenser) error {
			h.NoMetadata = true
			return onlyOff(d)
		}),
	})
}

// parseRequire compiles each line at once, so that an error names it.
func (h *AuthHandler) parseRequire(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	requirement := new(door.Requirement)
	if len(args) > 0 && !strings.Contains(args[0], "/") {
		requirement.Method, args = args[0], args[1:]
	}
	if len(args) < 2 {
		return d.ArgErr()
	}
	requirement.Path, requirement.Scopes = args[0], args[1:]
	h.Require = append(h.Require, requirement)
	if h.routes == nil {
		h.routes = door.NewRoutes()
	}
	if err := h.routes.Add(requirement); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseTrustHeader checks all names at once, so that the error has the line.
func (h *AuthHandler) parseTrustHeader(d *caddyfile.Dispenser) error {
	names := d.RemainingArgs()
	if len(names) == 0 {
		return d.ArgErr()
	}
	h.TrustHeaders = append(h.TrustHeaders, names...)
	if err := door.CheckTrustHeaders(h.TrustHeaders); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (h *AuthHandler) parsePolicy(d *caddyfile.Dispenser) error {
	h.Policy = new(RequestPolicy)
	return h.Policy.UnmarshalCaddyfile(d)
}

// UnmarshalCaddyfile parses the subdirective; parseAuthHandler shows the grammar.
func (p *RequestPolicy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	p.Paths = d.RemainingArgs()
	return parseBlock(d, subdirectives{
		"input_header":    once(func(d *caddyfile.Dispenser) error { return p.parseNames(d, &p.InputHeaders) }),
		"upstream_header": once(func(d *caddyfile.Dispenser) error { return p.parseNames(d, &p.UpstreamHeaders) }),
		"observe": once(func(d *caddyfile.Dispenser) error {
			p.Observe = true
			return noArgs(d)
		}),
		"bundle":  once(p.parseBundle),
		"timeout": once(p.parseTimeout),
		"verify":  once(p.parseVerify),
	})
}

// parseNames holds all names against the rules at once, for the sake of the line.
func (p *RequestPolicy) parseNames(d *caddyfile.Dispenser, target *[]string) error {
	if *target = d.RemainingArgs(); len(*target) == 0 {
		return d.ArgErr()
	}
	if err := door.CheckPolicyHeaders(p.InputHeaders, p.UpstreamHeaders); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (h *AuthHandler) parseLeeway(d *caddyfile.Dispenser) error {
	h.Leeway = new(caddy.Duration)
	return duration(d, h.Leeway, 0, token.MaxLeeway)
}

func (h *AuthHandler) parseHeader(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == "off":
		h.NoHeaders = true
	case len(args) == 2 && h.Headers[args[0]] != "":
		return d.Errf("header %q is given twice", args[0])
	case len(args) == 2:
		if h.Headers == nil {
			h.Headers = make(map[string]string)
		}
		h.Headers[args[0]] = args[1]
	default:
		return d.ArgErr()
	}
	if err := door.CheckHeaders(h.Headers, h.NoHeaders); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

var (
	_ caddyfile.Unmarshaler = (*AuthHandler)(nil)
	_ caddyfile.Unmarshaler = (*IssuerHandler)(nil)
	_ caddyfile.Unmarshaler = (*ReadyHandler)(nil)
)
