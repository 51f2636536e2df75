package issuer

import (
	"context"
	"path"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// openRevocations reads nothing. Start does, or the first who asks.
func (i *Server) openRevocations() {
	i.Revocations = revocation.NewStore(i.Storage, path.Join(StoragePath(i.URL), "revocations"))
	i.Revocations.OnFault = func(doing string, err error) { i.Logger.Error(doing+" failed", zap.Error(err)) }
	i.Revocations.OnRestored = func(entries int) {
		i.Logger.Warn("stored revocations again that the storage had lost", zap.Int("count", entries))
	}
	i.Revocations.Present = i.Keys.Stored
}

// Revoke puts a revocation in force in all of this process, once it is in storage. It fails as Store.Revoke does.
func (i *Server) Revoke(ctx context.Context, entry revocation.Entry) error {
	if err := i.Revocations.Revoke(ctx, entry); err != nil {
		return err
	}
	for _, peer := range i.peers() {
		peer.Revocations.Merge(entry)
	}
	return nil
}

// isRevoked reports whether a token of this issuer may no longer be used.
func (i *Server) isRevoked(ctx context.Context, claims *token.Claims) (bool, error) {
	return i.Revocations.Revoked(ctx, claims.ID, claims.ClientID, claims.IssuedAt)
}

// lookForRevocations takes what other nodes have revoked. When it cannot, what is known stays in force.
func (i *Server) lookForRevocations() {
	was := i.Revocations.Healthy()
	err := i.Revocations.Reload()
	healthy := i.Revocations.Healthy()
	switch {
	case err != nil:
		i.Logger.Error("revocations of other nodes cannot be read, those that are known stay in force", zap.Error(err))
	case !was && healthy:
		i.Logger.Info("revocations are whole again", zap.Int("count", i.Revocations.Set().Len()))
	}
	i.Metrics.SetHealthy("revocations", healthy)
}

func ViewRevocation(e revocation.Entry) api.Revocation {
	return api.Revocation{JTI: e.ID, ClientID: e.ClientID, Before: e.Before, Expires: e.Expires}
}

// AuditRevocation records a revocation.
func (i *Server) AuditRevocation(actor audit.Actor, operation string, e revocation.Entry) {
	view := ViewRevocation(e)
	id := view.JTI + view.ClientID // one of them
	i.Audit.Record("tokens revoked", audit.Change{Actor: actor, Operation: operation, Kind: "revocation", ID: id, Action: "create", After: view})
}
