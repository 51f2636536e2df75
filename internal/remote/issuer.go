// Package remote holds what doors know of an issuer in another process: its keys, found by discovery and cached, and its
// revocations, if it publishes them. Start with New, and Issuer.Trust for the view of one door. The package imports
// discovery and the leaves token, revocation, fetch and poll.
package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// Source names a remote issuer and the origins that its keys may come from. Configs that allow different origins do not
// share keys.
type Source struct {
	URL     string
	origins string // besides the issuer's own, sorted, separated by spaces
}

// NewSource returns a Source. The origins may be in any order.
func NewSource(url string, jwksOrigins []string) Source {
	return Source{url, strings.Join(slices.Compact(slices.Sorted(slices.Values(jwksOrigins))), " ")}
}

// Issuer is a remote issuer. It is safe for concurrent use.
type Issuer struct {
	source Source
	keys   *discovery.Keys[*token.KeySet]
	feed   *feed
}

// New returns a remote issuer without any request to it: the first token or Maintain causes that. Destruct closes it. It
// may outlive the config that made it, so it asks for a logger whenever it needs one. A nil client stands for a new one.
func New(source Source, client *http.Client, logger func() *zap.Logger) *Issuer {
	named := func() *zap.Logger { return logger().With(zap.String("issuer", source.URL)) }
	skipped := "" // of the keys that were read last
	keys := discovery.NewKeys(context.Background(), discovery.Config[*token.KeySet]{
		Issuer:      source.URL,
		JWKSOrigins: strings.Fields(source.origins),
		Client:      client,
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
	return &Issuer{source: source, keys: keys, feed: newFeed(source.URL, client, keys, named)}
}

// levelOf returns the level at which a key that is left out is logged. Many issuers also publish keys for encryption.
func levelOf(why error) zapcore.Level {
	if errors.Is(why, token.ErrOtherUse) {
		return zap.InfoLevel
	}
	return zap.WarnLevel
}

// Source returns the Source that the issuer was made with.
func (i *Issuer) Source() Source { return i.source }

// Destruct ends all requests to the issuer. Caddy's pool calls it once no config uses the issuer.
func (i *Issuer) Destruct() error {
	i.feed.close()
	i.keys.Close()
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
