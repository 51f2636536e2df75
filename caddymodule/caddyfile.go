package caddymodule

import (
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

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
	// each is put right after basic_auth, so the one registered last runs first: the issuer's
	// routes are answered before a door on the same site asks for a token, and a load balancer is before both
	httpcaddyfile.RegisterDirectiveOrder("m2m_auth", httpcaddyfile.After, "basic_auth")
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
//			key_rotation   <period>|off
//			key_encryption {env.*}|{file.*} [<former>...]
//		}
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
	if d.NextArg() {
		return d.ArgErr()
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
	})
}

// UnmarshalCaddyfile parses one issuer; parseApp shows the grammar.
func (i *Issuer) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if !d.AllArgs(&i.URL) {
		return d.ArgErr()
	}
	if !hasPlaceholder(i.URL) {
		if err := oauth.CheckIssuer(i.URL); err != nil {
			return d.WrapErr(err)
		}
	}
	return parseBlock(d, subdirectives{
		"audience":    once(i.parseAudience),
		"registry":    once(i.parseRegistry),
		"policy":      once(i.Policy.UnmarshalCaddyfile),
		"token_ttl":   once(func(d *caddyfile.Dispenser) error { return duration(d, &i.TokenTTL, time.Second, token.MaxTTL) }),
		"signing_alg": once(i.parseSigningAlg),

		"key_rotation":   once(i.parseRotation),
		"key_encryption": once(i.parseEncryption),
	})
}

func (i *Issuer) parseAudience(d *caddyfile.Dispenser) error {
	if err := oneArg(d, &i.Audience); err != nil || hasPlaceholder(i.Audience) {
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
		return oneArg(d, &i.Registry.Path)
	case issuer.RegistryInStorage:
		return i.Registry.parseStorage(d)
	}
	return d.Errf("unknown registry %q; it is storage or file <path>", i.Registry.Source)
}

func (s *RegistrySource) parseStorage(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return parseBlock(d, subdirectives{
		"cache_size": once(func(d *caddyfile.Dispenser) error {
			var text string
			if err := oneArg(d, &text); err != nil {
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
	if err := oneArg(d, &i.SigningAlg); err != nil {
		return err
	}
	if hasPlaceholder(i.SigningAlg) {
		return nil
	}
	if _, err := token.ParseAlg(i.SigningAlg); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// UnmarshalCaddyfile parses the policy subdirective; parseApp and parseBundle show the grammar.
func (p *PolicySource) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	p.Paths = d.RemainingArgs()
	return parseBlock(d, subdirectives{
		"bundle": once(p.parseBundle),
		"defaults": once(func(d *caddyfile.Dispenser) error {
			p.DefaultsOff = true
			return onlyOff(d)
		}),
		"timeout": once(p.parseTimeout),
		"verify":  once(p.parseVerify),
	})
}

func (p *PolicySource) parseVerify(d *caddyfile.Dispenser) error {
	p.Verify = true
	return noArgs(d)
}

func (p *PolicySource) parseTimeout(d *caddyfile.Dispenser) error {
	return duration(d, &p.Timeout, minPolicyTimeout, maxPolicyTimeout)
}

var _ caddyfile.Unmarshaler = (*App)(nil)
