package caddymodule

import (
	"maps"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("m2m", parseApp)
	httpcaddyfile.RegisterHandlerDirective("m2m_issuer", parseIssuerHandler)
	httpcaddyfile.RegisterHandlerDirective("m2m_auth", parseAuthHandler)
	httpcaddyfile.RegisterHandlerDirective("m2m_ready", parseReadyHandler)
	httpcaddyfile.RegisterHandlerDirective("m2m_resource_metadata", parseResourceMetadataHandler)
	// Each goes right after basic_auth, so the last one here runs first: a load balancer and the issuer's routes are
	// answered before a door on the same site asks for a token.
	httpcaddyfile.RegisterDirectiveOrder("m2m_auth", httpcaddyfile.After, "basic_auth")
	httpcaddyfile.RegisterDirectiveOrder("m2m_resource_metadata", httpcaddyfile.After, "basic_auth")
	httpcaddyfile.RegisterDirectiveOrder("m2m_issuer", httpcaddyfile.After, "basic_auth")
	httpcaddyfile.RegisterDirectiveOrder("m2m_ready", httpcaddyfile.After, "basic_auth")
}

// parseApp parses the global option:
//
//	m2m {
//		issuer <url> {
//			audience    <url>
//			registry    storage {
//				cache_size <n>
//			}
//			registry    file <path>
//			policy      <path...> {
//				bundle   <file-or-url> {…}
//				defaults off
//				timeout  <duration>
//				verify
//			}
//			token_ttl   <duration>
//			signing_alg ES256|RS256|PS256|EdDSA
//			trust <url> {
//				audience       <name...>
//				type           jwt|jwt-spiffe
//				trust_domain   <name>
//				alg            <alg...>
//				discovery      <url>
//				jwks_uri       <url>
//				jwks_origin    <origin...>
//				ca             <file...>
//				request_header <name> <value>
//				http_network   <network...>
//				max_stale      <duration>
//			}
//			dpop_nonce
//			client_limits off | {
//				rate       <number>/s|m|h | off
//				burst      <n>
//				concurrent <n> | off
//			}
//			auth_methods       <method...>
//			assertion_audience token_endpoint
//			jwks_uri_network   <network...>
//			key_rotation   <period>|off
//			key_encryption {env.*}|{file.*} [<former>...]
//			mtls_endpoint_aliases     <url>
//			client_certificate_header [<name>]
//		}
//		token_cache <size>
//	}
//
// The option may be given several times; their issuers add up.
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	app := new(App)
	if previous, ok := existing.(httpcaddyfile.App); ok {
		if err := caddy.StrictUnmarshalJSON(previous.Value, app); err != nil {
			return nil, d.WrapErr(err)
		}
	}
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "m2m", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile adds the issuers of one m2m block; parseApp shows the grammar.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if err := noArgs(d); err != nil {
		return err
	}
	return parseBlock(d, subdirectives{
		"issuer": repeatable(func(d *caddyfile.Dispenser) error {
			issuer := new(Issuer)
			if err := issuer.UnmarshalCaddyfile(d); err != nil {
				return err
			}
			a.Issuers = append(a.Issuers, issuer)
			return nil
		}),
		"token_cache": once(a.parseTokenCache),
	})
}

// UnmarshalCaddyfile parses one issuer; parseApp shows the grammar.
func (i *Issuer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	i.Position = position(d)
	if !d.AllArgs(&i.URL) {
		return d.ArgErr()
	}
	if !hasPlaceholder(i.URL) {
		if err := oauth.CheckIssuer(i.URL); err != nil {
			return d.WrapErr(err)
		}
	}
	known := subdirectives{
		"audience":    once(i.parseAudience),
		"registry":    once(i.parseRegistry),
		"policy":      once(i.Policy.UnmarshalCaddyfile),
		"token_ttl":   once(duration(&i.TokenTTL, time.Second, token.MaxTTL)),
		"signing_alg": once(i.parseSigningAlg),

		"trust":         repeatable(i.parseTrust),
		"dpop_nonce":    once(flag(&i.DPoPNonce)),
		"client_limits": once(i.parseClientLimits),

		"key_rotation":   once(i.parseRotation),
		"key_encryption": once(i.parseEncryption),

		"mtls_endpoint_aliases":     once(i.parseMTLSAliases),
		"client_certificate_header": once(parseCertificateHeader(&i.ClientCertificateHeader)),
	}
	maps.Copy(known, i.ClientAuthSettings.subdirectives())
	return parseBlock(d, known)
}

func (i *Issuer) parseAudience(d *caddyfile.Dispenser) error {
	if err := oneArg(&i.Audience)(d); err != nil || hasPlaceholder(i.Audience) {
		return err
	}
	if err := registry.CheckAudience(i.Audience); err != nil {
		return d.Errf("audience: %w", err)
	}
	return nil
}

func (i *Issuer) parseRegistry(d *caddyfile.Dispenser) error {
	i.Registry = new(RegistrySource)
	if !d.Args(&i.Registry.Source) {
		return d.ArgErr()
	}
	switch i.Registry.Source {
	case issuer.RegistryInFile:
		return oneArg(&i.Registry.Path)(d)
	case issuer.RegistryInStorage:
		return i.Registry.parseStorage(d)
	}
	return d.Errf("unknown registry %q; it is storage or file <path>", i.Registry.Source)
}

func (s *RegistrySource) parseStorage(d *caddyfile.Dispenser) error {
	if err := noArgs(d); err != nil {
		return err
	}
	return parseBlock(d, subdirectives{
		"cache_size": once(func(d *caddyfile.Dispenser) error {
			var text string
			if err := oneArg(&text)(d); err != nil {
				return err
			}
			size, err := strconv.Atoi(text)
			if err != nil || size < 1 || size > maxCacheSize {
				return d.Errf("cache_size is a number of clients, at least 1 and at most %d", maxCacheSize)
			}
			s.CacheSize = size
			return nil
		}),
	})
}

func (i *Issuer) parseSigningAlg(d *caddyfile.Dispenser) error {
	if err := oneArg(&i.SigningAlg)(d); err != nil || hasPlaceholder(i.SigningAlg) {
		return err
	}
	_, err := token.ParseAlg(i.SigningAlg)
	return located(d, err)
}

// UnmarshalCaddyfile parses the policy subdirective; parseApp and parseBundle show the grammar.
func (p *PolicySource) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	p.Paths = d.RemainingArgs()
	return parseBlock(d, subdirectives{
		"bundle":   once(p.parseBundle),
		"defaults": once(off(&p.DefaultsOff)),
		"timeout":  once(duration(&p.Timeout, minPolicyTimeout, maxPolicyTimeout)),
		"verify":   once(flag(&p.Verify)),
	})
}

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

// atDirective adds the line of the directive to an error about the whole directive.
func atDirective(h httpcaddyfile.Helper, err error) error {
	h.Reset()
	h.Next()
	return h.WrapErr(err)
}

// declaredApp returns the app of the Caddyfile's global options, by which an unknown issuer is an error with a line.
// The app is not known if a URL of an issuer has placeholders.
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
	h.Position = position(d)
	if d.NextArg() {
		h.Issuer = d.Val()
	}
	if err := noArgs(d); err != nil {
		return err
	}
	return parseBlock(d, nil)
}

// parseResourceMetadataHandler parses the directive:
//
//	m2m_resource_metadata [<matcher>] [<audience>]
func parseResourceMetadataHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(ResourceMetadataHandler)
	return handler, handler.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile parses the directive; parseResourceMetadataHandler shows the grammar.
func (h *ResourceMetadataHandler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	h.Position = position(d)
	if d.NextArg() {
		h.Audience = d.Val()
	}
	if err := noArgs(d); err != nil {
		return err
	}
	if err := located(d, h.check()); err != nil {
		return err
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
	if err := noArgs(d); err != nil {
		return err
	}
	return parseBlock(d, nil)
}
