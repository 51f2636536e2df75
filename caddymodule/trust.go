package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/remote"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Trust is an issuer whose tokens identify workloads: a CI system, a Kubernetes cluster, a SPIFFE trust domain or another
// authorization server. A workload sends such a token as an assertion (RFC 7523), in place of a secret. As which client it may
// act, the `identities` of the clients and the policy's package m2m.identity say. Trust alone lets no workload in.
type Trust struct {
	Reach

	// Audience are the accepted values of `aud`, compared character by character. An assertion must have one of them and no
	// other, as a string or as an array with one element: each audience of a token can use it. Placeholders: {env.*} and
	// {file.*}. Default: the URL of the issuer that trusts.
	Audience []string `json:"audience,omitempty"`

	// Type is the kind of the assertions: "jwt", or "jwt-spiffe" for the JWT-SVIDs of a SPIFFE trust domain. Default: jwt.
	Type string `json:"type,omitempty"`

	// TrustDomain is the SPIFFE trust domain, such as example.org. Only its SPIFFE IDs are accepted as `sub`. JWT-SVIDs need
	// no `iss`; one that is there must be the URL. Required if Type is jwt-spiffe. Default: none.
	TrustDomain string `json:"trust_domain,omitempty"`

	// Algs are the accepted signature algorithms, as in the issuers of m2m_auth. Default: those of the issuer's keys, in which
	// an RSA key without `alg` counts as one for RS256.
	Algs []string `json:"alg,omitempty"`
}

// UnmarshalCaddyfile parses one trusted issuer; parseApp shows the grammar.
func (t *Trust) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	at := *d
	if err := oneArg(&t.URL)(d); err != nil {
		return err
	}
	lines := make(lineOf)
	options := t.Reach.options(lines)
	options["audience"] = once(lines.note(someArgs(&t.Audience)))
	options["type"] = once(lines.note(oneArg(&t.Type)))
	options["trust_domain"] = once(lines.note(oneArg(&t.TrustDomain)))
	options["alg"] = once(lines.note(someArgs(&t.Algs)))
	if err := parseBlock(d, options); err != nil {
		return err
	}
	if err := t.check(); err != nil {
		return lines.ofOption(&at, err)
	}
	if !t.known() {
		return nil
	}
	return lines.ofOption(&at, t.Reach.check())
}

// check checks the settings apart from the way to the issuer. Each error begins with the name of an option.
func (t *Trust) check() error {
	for _, audience := range t.Audience {
		if err := token.CheckName(audience); err != nil {
			return fmt.Errorf("audience: %w", err)
		}
	}
	if _, err := token.ParseAcceptedAlgs(t.Algs); err != nil {
		return fmt.Errorf("alg: %w", err)
	}
	if err := checkBounds("max_stale", time.Duration(t.MaxStale), minMaxStale, maxMaxStale); t.MaxStale != 0 && err != nil {
		return err
	}
	types := []string{"", registry.TypeJWT, registry.TypeSPIFFE}
	switch {
	case !slices.Contains(types, t.Type):
		return fmt.Errorf("type is %q; it is %s or %s", t.Type, registry.TypeJWT, registry.TypeSPIFFE)
	case t.Type == registry.TypeSPIFFE && t.TrustDomain == "":
		return errors.New("type jwt-spiffe needs trust_domain, such as `trust_domain example.org`: its keys say nothing of the identities of others")
	case t.Type != registry.TypeSPIFFE && t.TrustDomain != "":
		return errors.New("trust_domain is only for type jwt-spiffe")
	case t.TrustDomain != "" && !hasPlaceholder(t.TrustDomain):
		return issuer.CheckTrustDomain(t.TrustDomain)
	}
	return nil
}

// provision returns the runtime of the trusted issuer. It does not use the network.
func (t *Trust) provision(app *App, own *Issuer) (*issuer.TrustedIssuer, error) {
	fields := slices.Concat(pointers(t.Audience), t.Reach.fields(), []*string{&t.TrustDomain})
	if err := replaceAll(caddy.NewReplacer(), fields...); err != nil {
		return nil, err
	}
	if t.URL == own.URL {
		return nil, errors.New("the issuer trusts its own tokens already; remove the block")
	}
	if err := errors.Join(t.check(), t.Reach.check()); err != nil {
		return nil, err
	}
	reached, err := t.open(app)
	if err != nil {
		return nil, err
	}
	if len(t.Audience) == 0 {
		t.Audience = []string{own.URL}
	}
	algs, _ := token.ParseAcceptedAlgs(t.Algs) // check has returned the error
	return &issuer.TrustedIssuer{
		URL: t.URL, Type: t.Type, TrustDomain: t.TrustDomain, Audiences: t.Audience, Algs: algs,
		Keys: reached.Trust(remote.Bounds{KeysMaxStale: time.Duration(t.MaxStale)}),
	}, nil
}

// openTrust makes the trusted issuers of an issuer.
func (i *Issuer) openTrust(app *App) (trusted []*issuer.TrustedIssuer, err error) {
	for n, t := range i.Trust {
		if t == nil {
			return nil, fmt.Errorf("trust %d is null", n)
		}
		one, err := t.provision(app, i)
		if err != nil {
			return nil, fmt.Errorf("trust %w", ofIssuer(t.URL, err))
		}
		trusted = append(trusted, one)
	}
	return trusted, issuer.CheckTrusted(trusted)
}

func (i *Issuer) parseTrust(d *caddyfile.Dispenser) error {
	t := new(Trust)
	if err := t.UnmarshalCaddyfile(d); err != nil {
		return err
	}
	for _, other := range i.Trust {
		if other.URL == t.URL {
			return d.Errf("issuer %q is trusted twice", t.URL)
		}
	}
	i.Trust = append(i.Trust, t)
	return nil
}
