package issuer

import (
	"context"
	"maps"
	"net/http"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
	"github.com/caddy-m2m/caddy-m2m/internal/uri"
)

// introspect is the introspection endpoint (RFC 7662 §2). It answers with the claims of an active token that the client
// may see, and only with "active": false otherwise.
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
		t.pass.Leave() // before it waits for the client
		oauth.WriteIntrospection(w, members)
	} else if err := t.writeSigned(ctx, w, members); err != nil {
		return "", t.fault("signing an introspection", err)
	}
	if claims == nil {
		return "inactive", nil
	}
	return "active", nil
}

// activeClaims returns the claims of a token that doors take now and that the caller may see, nil if it is another token.
// It fails while revocations may be unknown, because the storage is unavailable or an object in it is broken.
func (t *tokenReference) activeClaims(ctx context.Context) (*token.Claims, error) {
	claims, err := t.claims(ctx, token.DefaultLeeway) // of iat, because the clocks of nodes differ
	if err != nil || claims == nil || !t.start.Before(claims.Expires) || !t.maySee(claims) {
		return nil, err
	}
	revoked, err := t.issuer.isRevoked(ctx, claims)
	if err != nil || revoked {
		return nil, err
	}
	if err := t.issuer.Revocations.Complete(); err != nil {
		return nil, err
	}
	return claims, nil
}

// maySee reports whether the token is the caller's own, or has an audience that the caller may introspect.
func (t *tokenReference) maySee(claims *token.Claims) bool {
	return claims.ClientID == t.client.ID || uri.NamesOneOf(claims.Audience, t.client.Introspects)
}

// activeMembers returns all claims, which include cnf (RFC 8705 §3.2, RFC 9449 §6.2), and the members that RFC 7662 §2.2 adds. Their names are reserved, so no claim of a
// policy has one.
func activeMembers(claims *token.Claims) map[string]any {
	members := maps.Clone(claims.All)
	members["active"], members["token_type"] = true, claims.Confirmation().TokenType()
	return members
}

// writeSigned answers with a JWT (RFC 9701).
func (t *tokenReference) writeSigned(ctx context.Context, w http.ResponseWriter, members map[string]any) error {
	key, err := t.issuer.Keys.Signer(ctx)
	if err != nil {
		return err
	}
	signed, err := key.SignIntrospection(token.Introspection{
		Issuer: t.issuer.URL, Audience: t.client.ID, IssuedAt: t.start, Members: members,
	})
	if err != nil {
		return err
	}
	t.pass.Leave()
	oauth.WriteSignedIntrospection(w, signed)
	return nil
}
