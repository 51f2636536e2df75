// Package remote holds what doors know of an issuer in another process: its keys, found by discovery and cached, and its
// revocations, if it publishes them. Start with New, and Issuer.Trust for the view of one door. The package imports
// discovery and the leaves token, revocation, fetch and poll.
package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Issuer is a remote issuer. It is safe for concurrent use.
type Issuer struct {
	key    string
	client *http.Client // nil stands for a new one
	keys   *discovery.Keys[*token.KeySet]
	feed   *feed
}

// New returns a remote issuer without any request to it: the first token or Maintain causes that. Destruct closes it. It
// may outlive the config that made it, so it asks for a logger whenever it needs one. A nil client stands for a new one.
func New(settings Settings, client *http.Client, logger func() *zap.Logger) *Issuer {
	key := settings.Key()
	settings.PlainHTTP = len(settings.HTTPNetworks) > 0
	client = newClient(settings, client)
	named := func() *zap.Logger { return logger().With(zap.String("issuer", settings.Issuer)) }
	skipped := "" // of the keys that were read last
	keys := discovery.NewKeys(context.Background(), discovery.Config[*token.KeySet]{
		Source: settings.Source,
		Client: client,
		Parse: func(jwks []byte) (*token.KeySet, error) {
			set, all, err := token.ParseKeySet(jwks)
			if text := fmt.Sprint(all); text != skipped {
				skipped = text
				for _, why := range all {
					named().Log(levelOf(why), "a key of a remote issuer is left out", zap.Error(why))
				}
			}
			return set, err
		},
		Has:     (*token.KeySet).HasFor,
		OnFetch: poll.OncePerReason(func(err error) { named().Error("keys of a remote issuer cannot be refreshed", zap.Error(err)) }),
		OnMetadata: poll.OncePerReason(func(err error) {
			named().Error("metadata of a remote issuer cannot be read, its keys are fetched from where they were", zap.Error(err))
		}),
	})
	return &Issuer{key: key, client: client, keys: keys, feed: newFeed(settings.Issuer, client, keys, named)}
}

// levelOf returns the level at which a key that is left out is logged. Many issuers also publish keys for encryption.
func levelOf(why error) zapcore.Level {
	if errors.Is(why, token.ErrOtherUse) {
		return zap.InfoLevel
	}
	return zap.WarnLevel
}

// Key returns the Key of the settings that the issuer was made with.
func (i *Issuer) Key() string { return i.key }

// Destruct ends all requests to the issuer. Caddy's pool calls it once no config uses the issuer.
func (i *Issuer) Destruct() error {
	i.feed.close()
	i.keys.Close()
	if i.client != nil {
		i.client.CloseIdleConnections()
	}
	return nil
}

// KeySet returns the keys for one use without a door. It fetches them.
func (i *Issuer) KeySet(ctx context.Context, kid string) (*token.KeySet, error) {
	return i.Trust(Bounds{KeysMaxStale: discovery.DefaultStaleFor}).KeySet(ctx, kid)
}

// Maintain is to be called about once a second. It follows the issuer's feed of revocations once there is one. With
// refresh it fetches keys when they are due, else a token has to cause that. If feedRequired, a missing feed is a problem.
func (i *Issuer) Maintain(refresh, feedRequired bool) {
	if refresh {
		i.keys.Refresh()
	}
	i.feed.start()
	i.feed.require(feedRequired)
}

// Status is what is known of a remote issuer.
type Status struct {
	Keys        Knowledge
	Revocations *Knowledge // nil if the issuer publishes none and need not
}

// Knowledge is how much of something is known.
type Knowledge struct {
	Count   int
	AsOf    time.Time // when the issuer last confirmed it, or zero if nothing is known
	Problem string    // why the last request failed, or "" if it succeeded
}

// Status returns what is known now. It causes no requests.
func (i *Issuer) Status() Status {
	keys := i.keys.Status()
	s := Status{Keys: Knowledge{AsOf: keys.Fetched}}
	if keys.Err != nil {
		s.Keys.Problem = keys.Err.Error()
	}
	if keys.Keys != nil {
		s.Keys.Count = keys.Keys.Len()
	}
	if problem := i.feed.failures.Reason(); i.feed.published() != "" || i.feed.started.Load() || problem != "" {
		s.Revocations = &Knowledge{Count: i.feed.known.Len(), AsOf: i.feed.known.AsOf(), Problem: problem}
	}
	return s
}
