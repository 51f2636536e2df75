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
//		require  [<METHOD>] <pattern> <scope...> {
//			encoded_slash
//		}
//		public   [<METHOD>] <pattern> {
//			encoded_slash
//		}
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
//		bound    dpop|mtls ...
//		dpop_nonce
//		client_certificate_header [<name>]
//		metadata off
//		forward_auth same_request|x_forwarded|x_original
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
	h.Position = position(d)
	if err := noArgs(d); err != nil {
		return err
	}
	defer h.settleIssuer()
	err := parseBlock(d, subdirectives{
		"issuer":       repeatable(h.parseIssuer),
		"audience":     once(someArgs(&h.Audience)),
		"require":      repeatable(h.parseRequire),
		"public":       repeatable(h.parsePublic),
		"policy":       once(h.parsePolicy),
		"leeway":       once(h.parseLeeway),
		"header":       repeatable(h.parseHeader),
		"trust_header": repeatable(h.parseTrustHeader),
		"keep_token":   once(flag(&h.KeepToken)),
		"keep_streams": once(flag(&h.KeepStreams)),
		"bound":        once(h.parseBound),
		"dpop_nonce":   once(flag(&h.DPoPNonce)),
		"metadata":     once(off(&h.NoMetadata)),
		"forward_auth": once(h.parseForwardAuth),

		"client_certificate_header": once(parseCertificateHeader(&h.ClientCertificateHeader)),
	})
	if err != nil {
		return err
	}
	if err := door.CheckForwardAuth(h.ForwardAuth, h.KeepToken, h.KeepStreams); err != nil {
		return located(d, err)
	}
	binding := h.binding()
	return located(d, binding.Check(h.ForwardAuth))
}

func (h *AuthHandler) parseBound(d *caddyfile.Dispenser) error {
	if err := someArgs(&h.Bound)(d); err != nil {
		return err
	}
	return located(d, door.CheckBound(h.Bound))
}

// parseRequire compiles the requirement at once, so that an error names its line.
func (h *AuthHandler) parseRequire(d *caddyfile.Dispenser) error {
	where := position(d)
	method, args := routeArgs(d)
	if len(args) < 2 {
		return d.ArgErr()
	}
	requirement := &door.Requirement{Method: method, Path: args[0], Scopes: args[1:], Position: where}
	if err := parseBlock(d, subdirectives{"encoded_slash": once(flag(&requirement.EncodedSlash))}); err != nil {
		return err
	}
	h.Require = append(h.Require, requirement)
	return located(d, h.parsedRoutes().Add(requirement))
}

// parsePublic compiles the route at once, so that an error names its line.
func (h *AuthHandler) parsePublic(d *caddyfile.Dispenser) error {
	where := position(d)
	method, args := routeArgs(d)
	switch {
	case len(args) == 0:
		return d.ArgErr()
	case len(args) > 1:
		return d.Errf("public: unexpected %q: a public route has one pattern and needs no scope", args[1])
	}
	route := &door.PublicRoute{Method: method, Path: args[0], Position: where}
	if err := parseBlock(d, subdirectives{"encoded_slash": once(flag(&route.EncodedSlash))}); err != nil {
		return err
	}
	h.Public = append(h.Public, route)
	return located(d, h.parsedRoutes().AddPublic(route))
}

// routeArgs returns the method of a line, "" if it has none, and the arguments after it.
func routeArgs(d *caddyfile.Dispenser) (method string, args []string) {
	args = d.RemainingArgs()
	if len(args) > 0 && !strings.Contains(args[0], "/") {
		return args[0], args[1:]
	}
	return "", args
}

func (h *AuthHandler) parsedRoutes() *door.Routes {
	if h.routes == nil {
		h.routes = door.NewRoutes()
	}
	return h.routes
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

// parseForwardAuth checks the value at once, so that an error names its line.
func (h *AuthHandler) parseForwardAuth(d *caddyfile.Dispenser) error {
	if err := oneArg((*string)(&h.ForwardAuth))(d); err != nil {
		return err
	}
	if h.ForwardAuth == "" {
		return d.ArgErr()
	}
	return located(d, door.CheckForwardAuth(h.ForwardAuth, false, false))
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
