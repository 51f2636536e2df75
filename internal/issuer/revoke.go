package issuer

import (
	"context"
	"net/http"

	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// revoke is the revocation endpoint (RFC 7009 §2), where a client revokes its own tokens. When it answers, this node
// refuses the token and the revocation is in storage for the others. An invalid token gets the same answer (§2.2). Another
// client's token is refused (§2.1). That discloses nothing: everyone who has a token can read its client_id, and verify it
// with the published keys.
func (t *tokenReference) revoke(w http.ResponseWriter) (result string, _ *oauth.Error) {
	ctx := t.http.Context()
	claims, err := t.claims(ctx, token.MaxLeeway) // a door may take it for as long
	t.pass.Yield()                                // before it waits for the storage and the client
	switch {
	case err != nil:
		return "", t.fault("revoking", err)
	case claims == nil:
		oauth.WriteRevoked(w)
		return "ignored", nil
	case claims.ClientID != t.client.ID:
		return "", oauth.NotClientsToken()
	}
	revoked, err := t.issuer.isRevoked(ctx, claims)
	if err != nil {
		return "", t.fault("revoking", err)
	}
	if !revoked {
		if refused := t.revokeOwn(claims); refused != nil {
			return "", refused
		}
	}
	oauth.WriteRevoked(w)
	return "revoked", nil
}

// revokeOwn revokes a token of the client. Concurrent requests for the same token share one revocation.
func (t *tokenReference) revokeOwn(claims *token.Claims) *oauth.Error {
	refused, err := poll.Shared(t.http.Context(), &t.issuer.revoking, t.client.ID+" "+claims.ID, func(ctx context.Context) (*oauth.Error, error) {
		if revoked, err := t.issuer.isRevoked(ctx, claims); err != nil || revoked { // by a request that has just ended
			return nil, err
		}
		if refused, err := t.makeRoom(ctx); err != nil || refused != nil {
			return refused, err
		}
		entry := revocation.OfClientToken(claims.ID, claims.ClientID, claims.IssuedAt, claims.Expires)
		if err := t.issuer.Revoke(ctx, entry); err != nil {
			return nil, err
		}
		t.issuer.AuditRevocation(audit.Actor{Kind: "client", Name: t.client.ID, Remote: t.http.RemoteAddr}, "token.revoke", entry)
		return nil, nil
	})
	if err != nil {
		return t.fault("revoking", err)
	}
	return refused
}
