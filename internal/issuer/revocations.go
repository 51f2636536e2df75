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

// openRevocations makes the store of revocations, which Start or the first request reads.
func (s *Server) openRevocations() {
	s.Revocations = revocation.NewStore(s.Storage, path.Join(StoragePath(s.URL), "revocations"))
	s.Revocations.OnFault = func(doing string, err error) { s.Logger.Error(doing+" failed", zap.Error(err)) }
	s.Revocations.OnRestored = func(entries int) {
		s.Logger.Warn("stored revocations again that the storage had lost", zap.Int("count", entries))
	}
	s.Revocations.Present = s.Keys.Stored
}

// Revoke stores revocations, and then puts them in force in all configs of this process. It fails as Store.Revoke does.
func (s *Server) Revoke(ctx context.Context, entries ...revocation.Entry) error {
	if err := s.Revocations.Revoke(ctx, entries...); err != nil {
		return err
	}
	for _, peer := range s.peers() {
		peer.Revocations.Merge(entries...)
	}
	return nil
}

// isRevoked reports whether a token of this issuer may no longer be used.
func (s *Server) isRevoked(ctx context.Context, claims *token.Claims) (bool, error) {
	revoked, err := s.Revocations.Revoked(ctx, claims.ID, claims.ClientID, claims.IssuedAt)
	if revoked || err != nil || claims.Subject == claims.ClientID {
		return revoked, err
	}
	// a token that was exchanged also ends with the tokens of the client that it is about
	return s.Revocations.Revoked(ctx, "", claims.Subject, claims.IssuedAt)
}

// isRevokedIn is isRevoked for revocations that have been read.
func isRevokedIn(set *revocation.Set, claims *token.Claims) bool {
	return set.Revoked(claims.ID, claims.ClientID, claims.IssuedAt) ||
		claims.Subject != claims.ClientID && set.Revoked("", claims.Subject, claims.IssuedAt)
}

// lookForRevocations reads what other nodes have revoked. If it fails, the known revocations stay in force.
func (s *Server) lookForRevocations() {
	was := s.Revocations.Healthy()
	err := s.Revocations.Reload()
	healthy := s.Revocations.Healthy()
	switch {
	case err != nil:
		s.Logger.Error("revocations of other nodes cannot be read, those that are known stay in force", zap.Error(err))
	case !was && healthy:
		s.Logger.Info("revocations are healthy again", zap.Int("count", s.Revocations.Set().Len()))
	}
	s.Metrics.SetHealthy("revocations", healthy)
}

func ViewRevocation(e revocation.Entry) api.Revocation {
	return api.Revocation{JTI: e.ID, ClientID: e.ClientID, Before: e.Before, Expires: e.Expires}
}

// AuditRevocation records a revocation.
func (s *Server) AuditRevocation(actor audit.Actor, operation string, e revocation.Entry) {
	view := ViewRevocation(e)
	id := view.JTI + view.ClientID // one of them
	s.Audit.Record("tokens revoked", audit.Change{Actor: actor, Operation: operation, Kind: "revocation", ID: id, Action: "create", After: view})
}
