package caddymodule

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// introspect is the introspection endpoint (RFC 7662 §2): it says what a token means to those whom the
// token concerns. To anybody else, and of what is no valid token, it says that it is not active and
// nothing more.
func (t *tokenReference) introspect(w http.ResponseWriter) (result string, _ *oauth.Error) {
	ctx := t.http.Context()
	claims, err := t.activeClaims(ctx)
	if err != nil {
		return "", t.fault("introspecting", err)
	}
	members := map[string]any{"active": false}
	if claims != nil {
		members = activeMembers(claims)
	}
	if !oauth.WantsSignedIntrospection(t.http.Header) {
		oauth.WriteIntrospection(w, members)
	} else if err := t.writeSigned(ctx, w, members); err != nil {
		return "", t.fault("signing an introspection", err)
	}
	if claims == nil {
		return "inactive", nil
	}
	return "active", nil
}

// activeClaims are those of a token that doors take now and that the caller may see; nil is that it is
// none. A revocation may not be known while the storage is away or an object of it is broken: then a token
// is not called active.
func (t *tokenReference) activeClaims(ctx context.Context) (*token.Claims, error) {
	claims, err := t.claims(ctx, token.DefaultLeeway) // of iat: clocks of nodes differ
	if err != nil || claims == nil || !t.start.Before(claims.Expires) || !t.maySee(claims) {
		return nil, err
	}
	revoked, err := t.issuer.isRevoked(ctx, claims)
	if err != nil || revoked {
		return nil, err
	}
	if err := t.issuer.revocations.Complete(); err != nil {
		return nil, err
	}
	return claims, nil
}

// maySee reports whether the token is the caller's own, or for an audience that it may introspect.
func (t *tokenReference) maySee(claims *token.Claims) bool {
	return claims.ClientID == t.client.ID || slices.ContainsFunc(claims.Audience, func(audience string) bool {
		return slices.Contains(t.client.Introspects, audience)
	})
}

// activeMembers are the claims, among which those of a policy, with what RFC 7662 §2.2 has beside them. No
// claim has one of these names: they are reserved.
func activeMembers(claims *token.Claims) map[string]any {
	members := maps.Clone(claims.All)
	members["active"], members["token_type"] = true, "Bearer"
	return members
}

// writeSigned answers with a JWT (RFC 9701), which the caller can keep as evidence.
func (t *tokenReference) writeSigned(ctx context.Context, w http.ResponseWriter, members map[string]any) error {
	key, err := t.issuer.keys.Signer(ctx)
	if err != nil {
		return err
	}
	signed, err := key.SignIntrospection(token.Introspection{
		Issuer: t.issuer.URL, Audience: t.client.ID, IssuedAt: t.start, Members: members,
	})
	if err != nil {
		return err
	}
	oauth.WriteSignedIntrospection(w, signed)
	return nil
}
