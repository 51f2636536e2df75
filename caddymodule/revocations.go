package caddymodule

import (
	"context"
	"path"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// openRevocations reads nothing: Start does, or whoever asks first.
func (i *issuerServer) openRevocations() {
	i.revocations = revocation.NewStore(i.storage, path.Join(i.storagePath(), "revocations"))
	i.revocations.OnFault = func(doing string, err error) { i.logger.Error(doing+" failed", zap.Error(err)) }
	i.revocations.OnRestored = func(entries int) {
		i.logger.Warn("stored revocations again that the storage had lost", zap.Int("count", entries))
	}
	i.revocations.Present = i.keys.Stored
}

// revoke puts a revocation in force in all of this process, once it is in storage. It fails as Store.Revoke does.
func (i *issuerServer) revoke(ctx context.Context, entry revocation.Entry) error {
	if err := i.revocations.Revoke(ctx, entry); err != nil {
		return err
	}
	for _, peer := range i.peers() {
		peer.revocations.Merge(entry)
	}
	return nil
}

// isRevoked reports whether a token of this issuer may no longer be used.
func (i *issuerServer) isRevoked(ctx context.Context, claims *token.Claims) (bool, error) {
	return i.revocations.Revoked(ctx, claims.ID, claims.ClientID, claims.IssuedAt)
}

// lookForRevocations takes what other nodes have revoked. When it cannot, what is known stays in force.
func (i *issuerServer) lookForRevocations() {
	was := i.revocations.Healthy()
	err := i.revocations.Reload()
	healthy := i.revocations.Healthy()
	switch {
	case err != nil:
		i.logger.Error("revocations of other nodes cannot be read, those that are known stay in force", zap.Error(err))
	case !was && healthy:
		i.logger.Info("revocations are whole again", zap.Int("count", i.revocations.Set().Len()))
	}
	i.metrics.SetHealthy("revocations", healthy)
}

func viewRevocation(e revocation.Entry) api.Revocation {
	return api.Revocation{JTI: e.ID, ClientID: e.ClientID, Before: e.Before, Expires: e.Expires}
}

// auditRevocation records a revocation.
func (i *issuerServer) auditRevocation(actor audit.Actor, operation string, e revocation.Entry) {
	view := viewRevocation(e)
	id := view.JTI + view.ClientID // one of them
	i.audit.Record("tokens revoked", audit.Change{Actor: actor, Operation: operation, Kind: "revocation", ID: id, Action: "create", After: view})
}
