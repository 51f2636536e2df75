package caddymodule

import (
	"context"
	"net/http"

	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// revoke is the revocation endpoint (RFC 7009 §2): a client ends a token of its own. When the answer is
// there the token is refused on this node, and is in storage as revoked for the others. What is no valid
// token needs no revoking, and is answered alike (§2.2). Another client's is refused (§2.1); that tells
// nothing of it, for whoever has a token can read whose it is, and check it with the published keys.
func (t *tokenReference) revoke(w http.ResponseWriter) (result string, _ *oauth.Error) {
	ctx := t.http.Context()
	claims, err := t.claims(ctx, token.MaxLeeway) // with which a door may still take it
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

// revokeOwn revokes a token of the client, within its share. Requests that revoke the same token at a time wait for one.
func (t *tokenReference) revokeOwn(claims *token.Claims) *oauth.Error {
	refused, err := poll.Shared(t.http.Context(), &t.issuer.revoking, t.client.ID+" "+claims.ID, func(ctx context.Context) (*oauth.Error, error) {
		if revoked, err := t.issuer.isRevoked(ctx, claims); err != nil || revoked { // by one that has just ended
			return nil, err
		}
		shares := &t.issuer.revokedShares
		if !shares.take(t.client.ID, claims.Expires, t.start) {
			return oauth.TooManyRevocations(), nil
		}
		entry := revocation.OfToken(claims.ID, claims.Expires)
		if err := t.issuer.revoke(ctx, entry); err != nil {
			shares.giveBack(t.client.ID, claims.Expires)
			return nil, err
		}
		t.issuer.auditRevocation(audit.Actor{Kind: "client", Name: t.client.ID, Remote: t.http.RemoteAddr}, "token.revoke", entry)
		return nil, nil
	})
	if err != nil {
		return t.fault("revoking", err)
	}
	return refused
}
