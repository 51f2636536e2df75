package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/remote"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Bounds of MaxStale and RevocationMaxAge.
const (
	minMaxStale = time.Minute
	maxMaxStale = 30 * 24 * time.Hour
)

// defaultRevocationMaxAge is longer than a restart of the issuer takes.
const defaultRevocationMaxAge = 5 * time.Minute

// The values of TrustedIssuer.RevocationStale.
const (
	staleRefuse = "refuse"
	staleAllow  = "allow"
)

// TrustedIssuer is an issuer whose tokens m2m_auth accepts. If the m2m app does not have its URL, it is a remote issuer. The
// options other than URL and Audience are for remote issuers
// whose tokens do not follow RFC 9068. Each of them accepts more tokens than the RFC, or reads them differently.
type TrustedIssuer struct {
	Reach

	// Audience are the accepted values of `aud`. A token of this issuer needs one of them. Placeholders: {env.*} and {file.*}.
	// Default: the audience of the handler, or else that of the app's issuer.
	Audience []string `json:"audience,omitempty"`

	// Types are the accepted values of the header parameter `typ` (RFC 9068 §2.1). With "JWT" only the audience tells an access
	// token from an ID token of the same issuer. Default: at+jwt.
	Types []string `json:"typ,omitempty"`

	// ScopeClaim is the claim with the scopes, as a string with spaces or as an array of strings. Dots lead into a claim, as in
	// realm_access.roles; a claim whose own name has dots is found first. Default: scope, and only as a string (RFC 8693 §4.2).
	ScopeClaim string `json:"scope_claim,omitempty"`

	// ClientClaim is the claim that is used as client_id in identity headers, placeholders, logs and policies. Name one that
	// only the issuer sets. Dots lead into a claim, as in ScopeClaim. Default: client_id.
	ClientClaim string `json:"client_claim,omitempty"`

	// ClientIDs are the only clients whose tokens are accepted, by client_id or the claim that ClientClaim names. Others are
	// refused with 401. Placeholders: {env.*} and {file.*}. Default: all clients.
	ClientIDs []string `json:"client_ids,omitempty"`

	// AllowMissing names what a token may lack: the claims sub, client_id, jti, iat and aud, and the header parameter typ. A
	// token without jti cannot be told from others in logs, and cannot be revoked. A request whose token has no client_id
	// reaches the upstream without X-Client-Id. Without typ, only the audience shows that the token is an access token.
	// With aud, ClientIDs is required: it says for whom the tokens are. An aud that is there must still hold an accepted
	// audience. Default: none.
	AllowMissing []string `json:"allow_missing,omitempty"`

	// Algs are the accepted signature algorithms (RFC 7518 §3.1, RFC 9864): any of ES256, ES384, ES512, RS256, RS384, RS512,
	// PS256, PS384, PS512 and Ed25519, which is also called EdDSA. A key that names its `alg` verifies no other. An RSA key
	// without `alg` verifies each of these. Default: those of the issuer's keys, in which an RSA key without `alg` counts
	// as one for RS256.
	Algs []string `json:"alg,omitempty"`

	// IgnoreParameters are parameters of a token's header that are ignored instead of refused, although they say where the key
	// could be found (RFC 7515 §4.1): any of jku, x5u and x5c. They are never read or followed: only the keys of the
	// issuer's own key set count. Default: none.
	IgnoreParameters []string `json:"ignore_parameters,omitempty"`

	// RevocationMaxAge is the largest age of what the handler knows about the issuer's revocations. Only issuers of this plugin
	// publish their revocations; the age is then usually less than half a minute. If RevocationMaxAge is set, an issuer
	// that does not publish its revocations counts as too old. At least 1m, at most 720h. Default: 5m if the issuer
	// publishes its revocations, otherwise none.
	RevocationMaxAge caddy.Duration `json:"revocation_max_age,omitempty"`

	// RevocationStale says what happens to tokens that are not known to be revoked when that age is exceeded: "refuse" answers
	// 503, "allow" accepts them. Default: refuse.
	RevocationStale string `json:"revocation_stale,omitempty"`

	local   *issuer.Server  // nil if the issuer is remote
	remote  *remote.Trusted // nil if the issuer is of this process
	issuer  door.Issuer
	memory  *token.Memory
	metrics *metrics.Door
}

// hasQuirks reports whether an option other than the URL and the audience is set.
func (t *TrustedIssuer) hasQuirks() bool {
	return len(t.Types) > 0 || t.ScopeClaim != "" || t.ClientClaim != "" || len(t.ClientIDs) > 0 || len(t.AllowMissing) > 0 ||
		t.Discovery != "" || t.JWKSURI != "" || len(t.CA) > 0 || len(t.RequestHeaders) > 0 || len(t.HTTPNetworks) > 0 ||
		len(t.Algs) > 0 || len(t.IgnoreParameters) > 0 || len(t.JWKSOrigins) > 0 || t.MaxStale != 0 || t.RevocationMaxAge != 0 || t.RevocationStale != ""
}

// check checks the settings that do not depend on other settings.
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
		if err := checkBounds(name, time.Duration(age), minMaxStale, maxMaxStale); age != 0 && err != nil {
			return err
		}
	}
	if t.RevocationStale != "" && t.RevocationStale != staleRefuse && t.RevocationStale != staleAllow {
		return fmt.Errorf("revocation_stale is %q; it is %s or %s", t.RevocationStale, staleRefuse, staleAllow)
	}
	if _, err := token.ParseAcceptedAlgs(t.Algs); err != nil {
		return fmt.Errorf("alg: %w", err)
	}
	return t.expect().Check()
}

// find returns the issuer of the app, or nil if the issuer is remote. The audience is the default for one without its own.
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

// checkReach checks the way to the issuer. Placeholders must have been replaced. It reads no files.
func (t *TrustedIssuer) checkReach() error {
	if t.JWKSURI != "" && (t.RevocationMaxAge != 0 || t.RevocationStale != "") {
		if _, err := t.settings(); err != nil {
			return err
		}
		return errors.New("revocation_max_age and revocation_stale have no effect beside jwks_uri: the metadata says where revocations are")
	}
	return t.Reach.check()
}

func (t *TrustedIssuer) checkRemote(audience []string) error {
	if err := t.checkReach(); err != nil {
		return ofIssuer(t.URL, err)
	}
	if len(t.Audience) == 0 && len(audience) == 0 {
		return fmt.Errorf("issuer %q is none of this process's, so the audience has no default; add `audience <url>`", t.URL)
	}
	return nil
}

// provision finds the issuer. It does not use the network.
func (t *TrustedIssuer) provision(app *App, audience []string) error {
	fields := slices.Concat(pointers(t.Audience), pointers(t.ClientIDs), t.Reach.fields())
	if err := replaceAll(caddy.NewReplacer(), fields...); err != nil {
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
	if t.memory, err = app.tokenMemory(t.URL); err != nil {
		return err
	}
	if local != nil {
		local.server.Minted = t.memory
	}
	return t.check()
}

func (t *TrustedIssuer) provisionRemote(app *App) error {
	issuer, err := t.open(app)
	if err != nil {
		return err
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

// expect returns the checks of the issuer's tokens, without the leeway.
func (t *TrustedIssuer) expect() token.Expect {
	algs, _ := token.ParseAcceptedAlgs(t.Algs) // check returns the error
	return token.Expect{
		Issuer: t.URL, Audiences: t.Audience,
		Types: t.Types, ScopeClaim: t.ScopeClaim, ClientClaim: t.ClientClaim, AllowMissing: t.AllowMissing,
		Clients: t.ClientIDs, Algs: algs, IgnoreParams: t.IgnoreParameters, NoKeyID: t.remote != nil,
	}
}
