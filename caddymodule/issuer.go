package caddymodule

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/clientcert"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Defaults of an issuer.
const (
	defaultTokenTTL   = 10 * time.Minute
	defaultSigningAlg = "ES256"
)

// Issuer is one authorization server (RFC 6749). A URL names it. It reads clients and resources from a registry, decides
// with a policy, and signs tokens with its own keys.
type Issuer struct {
	// URL names the issuer. It is the `iss` of its tokens and the base of its routes (RFC 8414 §2). It is an https URL, or
	// an http URL with a loopback host. It may have a path, but no query, fragment or trailing slash. Placeholders: {env.*}
	// and {file.*}. Required.
	URL string `json:"issuer"`

	// Audience is the `aud` of tokens for resources that do not have their own audience. It is an absolute URI without a
	// fragment (RFC 8707 §2), usually the URL of an API. Placeholders: {env.*} and {file.*}. Default: the issuer's URL.
	Audience string `json:"audience,omitempty"`

	// Registry says where clients, resources and grants are stored. Default: in Caddy's storage.
	Registry *RegistrySource `json:"registry,omitempty"`

	// Policy says where the issuer's Rego is. Default: only the shipped rules.
	Policy PolicySource `json:"policy,omitzero"`

	// TokenTTL is the longest lifetime of a token. A client's token_ttl and the policy's ttl can shorten it. Some clients ask
	// for a new token 5 minutes before the old one expires, and so use none of 5m or less twice. At least 1s, at most 24h.
	// Default: 10m.
	TokenTTL caddy.Duration `json:"token_ttl,omitempty"`

	// SigningAlg is the JWS algorithm of new tokens: ES256, RS256, PS256 (RFC 7518 §3.1) or EdDSA (RFC 8037 §3.1). After a
	// change the former key signs for another ten minutes, until the new key is known everywhere. The former key stays
	// published until its last token has expired. Placeholders: {env.*} and {file.*}. Default: ES256.
	SigningAlg string `json:"signing_alg,omitempty"`

	// Trust are the issuers whose tokens identify workloads, which need no secret then. Default: none.
	Trust []*Trust `json:"trust,omitempty"`

	// ClientLimits bound what one client may ask of the issuer, so that a client that asks without end leaves the others
	// their share. Default: generous limits.
	ClientLimits ClientLimits `json:"client_limits,omitzero"`

	// MTLSEndpointAliases is the base URL at which clients present their certificates, for an issuer that asks no client for one
	// at its own URL, for example because browsers would show a dialog. The metadata names the endpoints below it as
	// `mtls_endpoint_aliases` (RFC 8705 §5). It is an https URL with the path of the issuer's URL. A site with m2m_issuer and
	// Caddy's client_auth serves it. Placeholders: {env.*} and {file.*}. Default: none.
	MTLSEndpointAliases string `json:"mtls_endpoint_aliases,omitempty"`

	// ClientCertificateHeader is the header in which a proxy that terminates TLS sends the client's certificate, in the form of RFC
	// 9440 §2.2. It counts only from the trusted_proxies of the server, and then the certificate of the connection, which is
	// that of the proxy, does not. The proxy must verify the chain of the certificate, and it must replace or remove the header
	// on every request. Default: none, and the certificate of the connection counts.
	ClientCertificateHeader string `json:"client_certificate_header,omitempty"`

	// DPoPNonce requires a nonce of this issuer in the DPoP proofs of token requests (RFC 9449 §8). A request without one is
	// refused with `use_dpop_nonce` and the nonce, and the client sends it again. Proofs then cannot be made ahead of time, and
	// the clock of the client makes no difference. Nodes that share Caddy's storage accept each other's nonces. Default: false.
	DPoPNonce bool `json:"dpop_nonce,omitempty"`

	// Position is the file and the line of the Caddyfile, such as Caddyfile:12. The Caddyfile adapter sets it. Warnings about
	// the config name it; nothing else uses it. Default: none.
	Position string `json:"position,omitempty"`

	KeySettings
	ClientAuthSettings

	server *issuer.Server // set by provision
}

var _ door.Issuer = (*issuer.Server)(nil)

// provision checks the settings and creates the server.
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
		Certificates: clientcert.Reader{Header: i.ClientCertificateHeader}, MTLSURL: i.MTLSEndpointAliases,
		Admission: sharedAdmission(), Failures: failures, Proofs: a.proofs(i.DPoPNonce, i.URL),
		Audit: audit.Trail{Issuer: i.URL, Logger: a.logger.Named("audit"), Emit: emitterOf(ctx)},
	}
	if c.ClientLimits, err = i.ClientLimits.limits(); err != nil {
		return fmt.Errorf("client_limits: %w", err)
	}
	if err := i.setClientAuth(&c); err != nil {
		return err
	}
	if c.Keys, err = i.newKeyring(alg, c.Storage, c.Logger); err != nil {
		return err
	}
	if c.Trusted, err = i.openTrust(a); err != nil {
		return err
	}
	if err := errors.Join(i.openRegistry(&c), i.loadPolicy(&c)); err != nil {
		if c.Policy != nil {
			c.Policy.Close()
		}
		return err
	}
	i.server = issuer.New(c)
	i.server.WarnOfCredentials()
	if err := a.metrics.CollectState(i.URL, i.server.MetricState); err != nil {
		return err
	}
	a.metrics.CollectDecisions(i.URL, c.Policy.Cache)
	return i.server.Join(ctx)
}

// resolve replaces the placeholders of the issuer's settings.
func (i *Issuer) resolve() error {
	repl := caddy.NewReplacer()
	fields := []*string{&i.URL, &i.Audience, &i.SigningAlg, &i.ClientLimits.Rate, &i.MTLSEndpointAliases}
	if i.Registry != nil {
		fields = append(fields, &i.Registry.Path)
	}
	fields = append(fields, pointers(i.JWKSURINetworks)...)
	return replaceAll(repl, append(fields, pointers(i.Policy.Paths)...)...)
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
	if err := i.checkCertificates(); err != nil {
		return "", err
	}
	if i.TokenTTL == 0 {
		i.TokenTTL = caddy.Duration(defaultTokenTTL)
	}
	if err := checkBounds("token_ttl", time.Duration(i.TokenTTL), time.Second, token.MaxTTL); err != nil {
		return "", err
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
