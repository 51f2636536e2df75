package caddymodule

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Defaults and bounds of an issuer's settings.
const (
	defaultTokenTTL   = 10 * time.Minute
	minPolicyTimeout  = time.Millisecond
	maxPolicyTimeout  = time.Minute
	defaultSigningAlg = "ES256"
	maxCacheSize      = 10_000_000
)

// Issuer is one authorization server: it names itself by a URL, knows clients and resources from
// a registry, decides with a policy, and signs with a key of its own.
type Issuer struct {
	// URL names the issuer: it is the `iss` of its tokens and the base of its routes. It is https,
	// or http on a loopback host; it has no query, fragment or trailing slash, and may have a path.
	// Placeholders: {env.*} and {file.*}. Required.
	URL string `json:"issuer"`

	// Audience is the `aud` of tokens for resources that name no audience of their own: an absolute
	// URI without a fragment (RFC 8707 §2), as a rule the URL of an API. Placeholders: {env.*} and {file.*}. Default: the issuer's URL.
	Audience string `json:"audience,omitempty"`

	// Registry says where clients, resources and grants are kept. Default: Caddy's storage.
	Registry *RegistrySource `json:"registry,omitempty"`

	// Policy says where the issuer's Rego is. Default: the shipped rules alone.
	Policy PolicySource `json:"policy,omitzero"`

	// TokenTTL is the longest that a token is valid; a client's token_ttl and the policy's ttl may
	// shorten it. At least 1s, at most 24h. Default: 10m.
	TokenTTL caddy.Duration `json:"token_ttl,omitempty"`

	// SigningAlg is the JWS algorithm of new tokens: ES256, RS256, PS256 or EdDSA (RFC 7518,
	// RFC 8037). After a change the key of the former algorithm signs for another ten minutes, until the new one is
	// known everywhere, and stays published for its tokens. Default: ES256.
	SigningAlg string `json:"signing_alg,omitempty"`

	KeySettings

	server *issuer.Server // what serves it; made by Provision
}

// PolicySource says where an issuer's Rego is and how it is run.
type PolicySource struct {
	// Paths are files or folders with .rego, and .json and .yaml as data. They are read again when
	// they change; a broken edit leaves what was compiled before. Placeholders: {env.*} and
	// {file.*}. Default: none, which leaves the shipped rules.
	Paths []string `json:"paths,omitempty"`

	// Bundle is an OPA bundle, in place of Paths. Default: none.
	Bundle *BundleSource `json:"bundle,omitempty"`

	// DefaultsOff leaves the shipped rules out: nothing is granted but by the rules at Paths or in Bundle.
	DefaultsOff bool `json:"defaults_off,omitempty"`

	// Timeout bounds one decision; one that takes longer is answered with 503. At
	// least 1ms, at most 1m. Default: 100ms.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Verify runs the Rego tests (_test.rego) at Paths before a policy is taken, at start and after an
	// edit. One that fails, or that there is none, is an error, which leaves what was in force.
	// Default: false.
	Verify bool `json:"verify,omitempty"`
}

var _ door.Issuer = (*issuer.Server)(nil)

// provision checks the settings and makes the server.
func (i *Issuer) provision(ctx caddy.Context, a *App) error {
	if err := i.resolve(); err != nil {
		return err
	}
	alg, err := i.checkSettings()
	if err != nil {
		return err
	}
	c := issuer.Config{
		URL: i.URL, Audience: i.Audience, SigningAlg: i.SigningAlg, TokenTTL: time.Duration(i.TokenTTL),
		Logger: a.logger.With(zap.String("issuer", i.URL)), Decisions: a.logger.Named("decisions"),
		Metrics: a.metrics.Issuer(i.URL), Storage: a.storage, Emit: emitterOf(ctx), Host: caddyHost{},
		Audit: audit.Trail{Issuer: i.URL, Logger: a.logger.Named("audit"), Emit: emitterOf(ctx)},
	}
	if c.Keys, err = i.newKeyring(alg, c.Storage, c.Logger); err != nil {
		return err
	}
	if err := errors.Join(i.openRegistry(&c), i.loadPolicy(&c)); err != nil {
		if c.Policy != nil {
			c.Policy.Close()
		}
		return err
	}
	i.server = issuer.New(c)
	if err := a.metrics.CollectState(i.URL, i.server.MetricState); err != nil {
		return err
	}
	return i.server.Join(ctx)
}

// resolve replaces the placeholders of the issuer's settings.
func (i *Issuer) resolve() error {
	repl := caddy.NewReplacer()
	fields := []*string{&i.URL, &i.Audience, &i.SigningAlg}
	if i.Registry != nil {
		fields = append(fields, &i.Registry.Path)
	}
	return replaceAll(repl, append(fields, pointers(i.Policy.Paths)...)...)
}

func pointers(texts []string) []*string {
	all := make([]*string, len(texts))
	for n := range texts {
		all[n] = &texts[n]
	}
	return all
}

// replaceAll resolves the placeholders of each field that is set; one that is unknown or empty is
// an error.
func replaceAll(repl *caddy.Replacer, fields ...*string) error {
	for _, field := range fields {
		value, err := repl.ReplaceOrErr(*field, true, true)
		if err != nil {
			return fmt.Errorf("resolving %q: %w", *field, err)
		}
		*field = value
	}
	return nil
}

func (i *Issuer) checkSettings() (token.Alg, error) {
	if err := oauth.CheckIssuer(i.URL); err != nil {
		return "", err
	}
	if i.Audience == "" {
		i.Audience = i.URL
	}
	if err := registry.CheckAudience(i.Audience); err != nil {
		return "", fmt.Errorf("audience: %w", err)
	}
	if i.TokenTTL == 0 {
		i.TokenTTL = caddy.Duration(defaultTokenTTL)
	}
	if ttl := time.Duration(i.TokenTTL); ttl < time.Second || ttl > token.MaxTTL {
		return "", fmt.Errorf("token_ttl is %s; it is at least 1s and at most %s", ttl, token.MaxTTL)
	}
	if i.SigningAlg == "" {
		i.SigningAlg = defaultSigningAlg
	}
	alg, err := token.ParseAlg(i.SigningAlg)
	if err != nil {
		return "", fmt.Errorf("signing_alg: %w", err)
	}
	return alg, nil
}

func (i *Issuer) loadPolicy(c *issuer.Config) (err error) {
	if c.Policy, err = i.Policy.load(c.Storage, issuer.StoragePath(i.URL), c.Logger); err != nil {
		return fmt.Errorf("loading the policy: %w", err)
	}
	c.Metrics.SetHealthy("policy", c.Policy.Healthy())
	return nil
}

// cleanup ends what provision began, also after it failed half-way.
func (i *Issuer) cleanup() {
	if i.server != nil {
		i.server.Close()
	}
}
