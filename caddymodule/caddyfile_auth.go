package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// parseAuthHandler parses the directive:
//
//	m2m_auth [<matcher>] {
//		issuer   <url> {
//			audience      <url...>
//			typ           <typ...>
//			scope_claim   <claim>
//			client_claim  <claim>
//			client_id     <id...>
//			allow_missing <name...>
//			alg           <alg...>
//			ignore_parameter <name...>
//			discovery     <url>
//			jwks_uri      <url>
//			jwks_origin   <origin...>
//			ca            <file...>
//			request_header <name> <value>
//			http_network  <network...>
//			max_stale     <duration>
//			revocation_max_age <duration>
//			revocation_stale   refuse|allow
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
	if err := noArgs(d); err != nil {
		return err
	}
	defer h.settleIssuer()
	return parseBlock(d, subdirectives{
		"issuer":       repeatable(h.parseIssuer),
		"audience":     once(someArgs(&h.Audience)),
		"require":      repeatable(h.parseRequire),
		"policy":       once(h.parsePolicy),
		"leeway":       once(h.parseLeeway),
		"header":       repeatable(h.parseHeader),
		"trust_header": repeatable(h.parseTrustHeader),
		"keep_token":   once(flag(&h.KeepToken)),
		"keep_streams": once(flag(&h.KeepStreams)),
		"metadata":     once(off(&h.NoMetadata)),
	})
}

// parseRequire compiles the requirement at once, so that an error names its line.
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
	return located(d, h.routes.Add(requirement))
}

// parseTrustHeader checks the names at once, so that an error names their line.
func (h *AuthHandler) parseTrustHeader(d *caddyfile.Dispenser) error {
	var names []string
	if err := someArgs(&names)(d); err != nil {
		return err
	}
	h.TrustHeaders = append(h.TrustHeaders, names...)
	return located(d, door.CheckTrustHeaders(h.TrustHeaders))
}

func (h *AuthHandler) parsePolicy(d *caddyfile.Dispenser) error {
	h.Policy = new(RequestPolicy)
	return h.Policy.UnmarshalCaddyfile(d)
}

// UnmarshalCaddyfile parses the subdirective; parseAuthHandler shows the grammar.
func (p *RequestPolicy) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	p.Paths = d.RemainingArgs()
	return parseBlock(d, subdirectives{
		"input_header":    once(p.headerNames(&p.InputHeaders)),
		"upstream_header": once(p.headerNames(&p.UpstreamHeaders)),
		"observe":         once(flag(&p.Observe)),
		"bundle":          once(p.parseBundle),
		"timeout":         once(duration(&p.Timeout, minPolicyTimeout, maxPolicyTimeout)),
		"verify":          once(flag(&p.Verify)),
	})
}

// headerNames checks the names at once, so that an error names their line.
func (p *RequestPolicy) headerNames(target *[]string) parser {
	return func(d *caddyfile.Dispenser) error {
		if err := someArgs(target)(d); err != nil {
			return err
		}
		return located(d, door.CheckPolicyHeaders(p.InputHeaders, p.UpstreamHeaders))
	}
}

func (h *AuthHandler) parseLeeway(d *caddyfile.Dispenser) error {
	h.Leeway = new(caddy.Duration)
	return duration(h.Leeway, 0, token.MaxLeeway)(d)
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
	return located(d, door.CheckHeaders(h.Headers, h.NoHeaders))
}

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

// settleIssuer sets Issuer instead of Issuers if there is one issuer, of which only the URL is set.
func (h *AuthHandler) settleIssuer() {
	if len(h.Issuers) == 1 && len(h.Issuers[0].Audience) == 0 && !h.Issuers[0].hasQuirks() {
		h.Issuer, h.Issuers = h.Issuers[0].URL, nil
	}
}
