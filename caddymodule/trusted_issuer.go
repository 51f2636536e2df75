package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/remote"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Bounds of how long keys of a remote issuer serve on while it is down.
const (
	minMaxStale = time.Minute
	maxMaxStale = 30 * 24 * time.Hour
)

// defaultRevocationMaxAge outlasts a restart of the issuer.
const defaultRevocationMaxAge = 5 * time.Minute

// The values of TrustedIssuer.RevocationStale.
const (
	staleRefuse = "refuse"
	staleAllow  = "allow"
)

// TrustedIssuer is one of the issuers whose tokens an m2m_auth takes. All but URL and Audience is for
// issuers elsewhere whose tokens are not those of RFC 9068. Each such option takes more tokens than
// the RFC allows, or reads them otherwise, so none is on by itself.
type TrustedIssuer struct {
	// URL is the issuer's, exactly as its tokens have it in `iss`. One that the m2m app does not have
	// is remote. Placeholders: {env.*} and {file.*}. Required.
	URL string `json:"issuer"`

	// Audience is what `aud` of this issuer's tokens must hold, any one of them. Placeholders:
	// {env.*} and {file.*}. Default: the door's audience, and then that of an issuer of the app.
	Audience []string `json:"audience,omitempty"`

	// Types are the values of the header's `typ` that are taken. With "JWT" among them nothing but
	// the audience tells an access token from an ID token of the same issuer. Default: at+jwt.
	Types []string `json:"typ,omitempty"`

	// ScopeClaim is the claim that holds the scopes, as a string with spaces or as an array of
	// strings. Default: scope, as a string alone.
	ScopeClaim string `json:"scope_claim,omitempty"`

	// ClientClaim is the claim that is taken for client_id, in identity headers, placeholders, logs
	// and policies. It should be one that only the issuer sets. Default: client_id.
	ClientClaim string `json:"client_claim,omitempty"`

	// AllowMissing is what a token may lack: any of the claims sub, client_id, jti and iat, and typ of the
	// header. A token without jti cannot be told from others in logs, nor revoked; one without client_id
	// reaches the upstream without X-Client-Id; of one without typ nothing but the audience tells that it is
	// an access token. Default: none.
	AllowMissing []string `json:"allow_missing,omitempty"`

	// JWKSOrigins are origins, besides the issuer's own, on which the `jwks_uri` of its metadata (RFC 8414 §2) may be.
	// Metadata that names another origin is refused, and no request goes there. Each is `https://host` or
	// `https://host:port` in normal form: lower case, without the default port and a path; or http on loopback for an
	// issuer that is itself http on loopback. All doors of an issuer must name the same. Placeholders: {env.*} and
	// {file.*}. Default: none.
	JWKSOrigins []string `json:"jwks_origins,omitempty"`

	// MaxStale is how long keys that were fetched serve on past their freshness while the issuer
	// cannot be reached. Until then a key that the issuer has withdrawn is still good here. At least
	// 1m, at most 720h. Default: 24h.
	MaxStale caddy.Duration `json:"max_stale,omitempty"`

	// RevocationMaxAge is how old the door's knowledge of what the issuer has revoked may be. It is a
	// matter of issuers of this program, which publish that, and as a rule known as of less than half a
	// minute ago. Once it is set, an issuer that does not publish it is as one whose knowledge is too old. At least 1m,
	// at most 720h. Default: 5m, where the issuer publishes it.
	RevocationMaxAge caddy.Duration `json:"revocation_max_age,omitempty"`

	// RevocationStale says what becomes of tokens that are not known to be revoked when that is
	// exceeded: "refuse" answers 503, "allow" takes them. Default: refuse.
	RevocationStale string `json:"revocation_stale,omitempty"`

	local   *issuer.Server  // nil for a remote issuer
	remote  *remote.Trusted // nil for one of this process
	issuer  door.Issuer
	metrics *metrics.Door
}

// hasQuirks reports whether anything but the URL and the audience is set.
func (t *TrustedIssuer) hasQuirks() bool {
	return len(t.Types) > 0 || t.ScopeClaim != "" || t.ClientClaim != "" || len(t.AllowMissing) > 0 ||
		len(t.JWKSOrigins) > 0 || t.MaxStale != 0 || t.RevocationMaxAge != 0 || t.RevocationStale != ""
}

// check finds what is wrong with the settings by themselves.
func (t *TrustedIssuer) check() error {
	for _, audience := range t.Audience {
		if err := token.CheckName(audience); err != nil {
			return fmt.Errorf("audience: %w", err)
		}
	}
	for name, claim := range map[string]string{"scope_claim": t.ScopeClaim, "client_claim": t.ClientClaim} {
		if claim == "" {
			continue
		}
		if err := token.CheckName(claim); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, age := range map[string]caddy.Duration{"max_stale": t.MaxStale, "revocation_max_age": t.RevocationMaxAge} {
		if stale := time.Duration(age); stale != 0 && (stale < minMaxStale || stale > maxMaxStale) {
			return fmt.Errorf("%s is %s; it is at least %s and at most %s", name, stale, minMaxStale, maxMaxStale)
		}
	}
	if t.RevocationStale != "" && t.RevocationStale != staleRefuse && t.RevocationStale != staleAllow {
		return fmt.Errorf("revocation_stale is %q; it is %s or %s", t.RevocationStale, staleRefuse, staleAllow)
	}
	return t.expect().Check()
}

// find returns the issuer of the app, nil if it is a remote one. The audience is the door's, for an issuer that has none
// of its own.
func (t *TrustedIssuer) find(app *App, audience []string) (*Issuer, error) {
	local, err := app.issuer(t.URL)
	switch {
	case errors.Is(err, errNoSuchIssuer):
		return nil, t.checkRemote(audience)
	case err == nil && t.hasQuirks():
		return nil, fmt.Errorf("issuer %q is of this process: its tokens are read as they are made, and its keys are here; only audience can be set", local.URL)
	}
	return local, err
}

// checkOrigins returns what is wrong with JWKSOrigins. Placeholders must have been replaced.
func (t *TrustedIssuer) checkOrigins() error {
	for _, origin := range t.JWKSOrigins {
		if err := discovery.CheckOrigin(origin, t.URL); err != nil {
			return fmt.Errorf("jwks_origin %q %w", credential.WithoutUserInfo(origin), err)
		}
	}
	return nil
}

func (t *TrustedIssuer) checkRemote(audience []string) error {
	if err := discovery.CheckIssuer(t.URL); err != nil {
		return fmt.Errorf("issuer %q: %w", credential.WithoutUserInfo(t.URL), err)
	}
	if len(t.Audience) == 0 && len(audience) == 0 {
		return fmt.Errorf("issuer %q is none of this process's, so the audience has no default; add `audience <url>`", t.URL)
	}
	return nil
}

// provision finds the issuer. It uses no network.
func (t *TrustedIssuer) provision(app *App, audience []string) error {
	fields := append(pointers(t.Audience), pointers(t.JWKSOrigins)...)
	if err := replaceAll(caddy.NewReplacer(), append(fields, &t.URL)...); err != nil {
		return err
	}
	local, err := t.find(app, audience)
	if err != nil {
		return err
	}
	if len(t.Audience) == 0 {
		t.Audience = audience
	}
	if local != nil {
		t.local, t.issuer, t.URL = local.server, local.server, local.URL
		if len(t.Audience) == 0 {
			t.Audience = []string{local.server.Audience}
		}
	} else if err := t.provisionRemote(app); err != nil {
		return err
	}
	t.metrics = app.metrics.Door(t.URL)
	return t.check()
}

func (t *TrustedIssuer) provisionRemote(app *App) error {
	if err := t.checkOrigins(); err != nil {
		return err
	}
	issuer, err := app.remoteIssuer(remote.NewSource(t.URL, t.JWKSOrigins))
	if err != nil {
		return err
	}
	if t.MaxStale == 0 {
		t.MaxStale = caddy.Duration(discovery.DefaultStaleFor)
	}
	t.remote = issuer.Trust(remote.Bounds{
		KeysMaxStale:      time.Duration(t.MaxStale),
		RevocationsMaxAge: cmp.Or(time.Duration(t.RevocationMaxAge), defaultRevocationMaxAge),
		AllowStale:        t.RevocationStale == staleAllow,
		RequireFeed:       t.RevocationMaxAge != 0,
	})
	t.issuer = t.remote
	return nil
}

// expect returns what the issuer's tokens must say, without the leeway.
func (t *TrustedIssuer) expect() token.Expect {
	return token.Expect{
		Issuer: t.URL, Audiences: t.Audience,
		Types: t.Types, ScopeClaim: t.ScopeClaim, ClientClaim: t.ClientClaim, AllowMissing: t.AllowMissing,
	}
}
