package issuer

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
)

// Bounds of the tokens that clients have revoked one by one, at all nodes. All nodes keep each of them in memory until it has
// expired, and all remote doors read them from a feed of at most revocation.MaxFeedSize. Beyond a bound, the older ones
// collapse: one revocation of the client takes their place, which ends all tokens that the client was issued up to a moment.
var (
	// MaxRevokedByClient is the bound for one client. The newer half stays.
	MaxRevokedByClient = 10_000
	// MaxRevokedByAll is the bound for all clients together. The clients with the most tokens collapse until a quarter is free.
	MaxRevokedByAll = 150_000
	// maxOwnFeed is the size of the feed from which on clients cannot revoke any more. The rest is for operators. It takes many
	// thousands of clients to reach it.
	maxOwnFeed = revocation.MaxFeedSize * 3 / 4
)

const (
	// leastKept is how many tokens each client keeps when all together are too many: below that, there is little to gain.
	leastKept = 16
	// collapseInterval is the least time between two attempts to make all clients together have fewer tokens.
	collapseInterval = 10 * time.Second
	// collapseOperation is the operation of a collapse in the audit log.
	collapseOperation = "token.collapse"
)

// makeRoom makes room for another revoked token of the client. It refuses the revocation if it finds none.
func (t *tokenReference) makeRoom(ctx context.Context) (*oauth.Error, error) {
	store := t.issuer.Revocations
	own, all := store.Share(t.client.ID)
	if own >= MaxRevokedByClient {
		if err := t.collapseOwn(ctx); err != nil {
			return nil, err
		}
		if own, all = store.Share(t.client.ID); own >= MaxRevokedByClient {
			return oauth.TooManyRevocations(1), nil // all of them were issued in this second
		}
	}
	if all >= MaxRevokedByAll {
		t.collapseLargest(ctx)
	}
	if store.FeedSize() >= maxOwnFeed {
		return oauth.TooManyRevocations(60), nil
	}
	return nil, nil
}

// collapseOwn revokes the client's tokens up to a moment. Concurrent requests of the client share it.
func (t *tokenReference) collapseOwn(ctx context.Context) error {
	_, err := poll.Shared(ctx, &t.issuer.collapsing, "client "+t.client.ID, func(ctx context.Context) (none struct{}, _ error) {
		own, _ := t.issuer.Revocations.Share(t.client.ID)
		if own < MaxRevokedByClient { // by a request that has just ended
			return none, nil
		}
		entry, ok := t.issuer.Revocations.Cut(t.client.ID, MaxRevokedByClient/2, lastSecond(t.start))
		if !ok {
			return none, nil
		}
		if err := t.issuer.Revoke(ctx, entry); err != nil {
			return none, err
		}
		t.issuer.Logger.Warn("a client has revoked so many of its tokens that all that it was issued up to a moment are revoked now",
			zap.String("client_id", t.client.ID), zap.Int("count", own), zap.Time("before", entry.Before))
		t.issuer.AuditRevocation(audit.Actor{Kind: "client", Name: t.client.ID, Remote: t.http.RemoteAddr}, collapseOperation, entry)
		return none, nil
	})
	return err
}

// collapseLargest revokes the tokens of the clients that have revoked the most, up to a moment for each. If it fails, the
// revocation that caused it does not.
func (t *tokenReference) collapseLargest(ctx context.Context) {
	_, _ = poll.Shared(ctx, &t.issuer.collapsing, "all", func(ctx context.Context) (none struct{}, _ error) {
		_, all := t.issuer.Revocations.Share("")
		if last := t.issuer.collapsed.Load(); all < MaxRevokedByAll || t.start.UnixNano()-last < int64(collapseInterval) {
			return none, nil
		}
		t.issuer.collapsed.Store(t.start.UnixNano())
		entries := t.issuer.Revocations.CutLargest(MaxRevokedByAll*3/4, leastKept, lastSecond(t.start))
		if len(entries) == 0 {
			return none, nil
		}
		if err := t.issuer.Revoke(ctx, entries...); err != nil {
			t.issuer.Logger.Error("revoking the tokens of the clients that have revoked the most failed", zap.Error(err))
			return none, nil
		}
		t.issuer.Logger.Warn("clients together have revoked so many tokens that all that the largest of them were issued up to a moment are revoked now",
			zap.Int("count", all), zap.Int("clients", len(entries)))
		for _, entry := range entries {
			t.issuer.AuditRevocation(audit.Actor{Kind: "issuer", Name: t.issuer.URL}, collapseOperation, entry)
		}
		return none, nil
	})
}

// lastSecond returns the end of the second before now: iat has whole seconds, and tokens that are issued from now on stay valid.
func lastSecond(now time.Time) time.Time { return now.Truncate(time.Second).Add(-time.Second) }
