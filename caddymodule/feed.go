package caddymodule

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-m2m/caddy-m2m/internal/keyring"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
)

const (
	feedContentType = "application/" + revocation.FeedType
	// feedMaxAge is how long caches may keep a feed.
	feedMaxAge = 2 * time.Second
	// A feed is made anew when there is news, but not sooner than feedFloor, and else after feedRenewal, which shows
	// that there is none.
	feedFloor   = time.Second
	feedRenewal = 15 * time.Second
)

// feed publishes what an issuer has revoked, for doors that have no part in its storage. Feeds are made when they are
// asked for, and each is kept for everybody who asks.
type feed struct {
	issuer   *issuerServer
	building singleflight.Group

	mu   sync.Mutex
	made map[int64]*madeFeed // by the moment since which they are
}

// madeFeed does not change.
type madeFeed struct {
	*oauth.Document
	at      time.Time
	changes uint64
	keys    *keyring.Set
}

func newFeed(issuer *issuerServer) *feed {
	return &feed{issuer: issuer, made: make(map[int64]*madeFeed)}
}

func (f *feed) serve(w http.ResponseWriter, r *http.Request) {
	since, refusal := sinceOf(r.URL.RawQuery)
	if refusal != nil {
		refusal.Write(w)
		return
	}
	made, err := f.get(r.Context(), f.moment(since))
	if err != nil {
		f.issuer.logger.Debug("no revocations to publish", zap.Error(err))
		oauth.Unavailable("the revocations cannot be had now").Write(w)
		return
	}
	made.ServeHTTP(w, r)
}

// sinceOf is the parameter that says since when a reader knows what there was; without it, that is never.
func sinceOf(query string) (int64, *oauth.Error) {
	parameters, err := url.ParseQuery(query)
	given := parameters["since"]
	switch {
	case err != nil:
		return 0, oauth.InvalidRequest("the query is not well-formed")
	case len(given) == 0:
		return 0, nil
	case len(given) > 1:
		return 0, oauth.InvalidRequest("a parameter is repeated")
	}
	since, err := strconv.ParseUint(given[0], 10, 40)
	if err != nil {
		return 0, oauth.InvalidRequest("since is not a number of seconds")
	}
	return int64(since), nil
}

// moment is the moment for which there is a feed. It is 0 for all whose feed would have everything, which may be large,
// and is made and kept once.
func (f *feed) moment(since int64) int64 {
	since -= since % revocation.FeedStep
	if !f.issuer.revocations.CoversSince(time.Unix(since, 0)) {
		return 0
	}
	return since
}

func (f *feed) get(ctx context.Context, since int64) (*madeFeed, error) {
	if made := f.kept(ctx, since); made != nil {
		return made, nil
	}
	return poll.Shared(ctx, &f.building, strconv.FormatInt(since, 10), func(ctx context.Context) (*madeFeed, error) {
		if made := f.kept(ctx, since); made != nil {
			return made, nil
		}
		return f.make(ctx, since)
	})
}

// kept is the feed that was made last, if it still serves.
func (f *feed) kept(ctx context.Context, since int64) *madeFeed {
	f.mu.Lock()
	made := f.made[since]
	f.mu.Unlock()
	if made == nil {
		return nil
	}
	keys, err := f.issuer.keys.Current(ctx)
	age, news := time.Since(made.at), made.changes != f.issuer.revocations.Changes() || made.keys != keys
	if err != nil || age >= feedRenewal || news && age >= feedFloor {
		return nil
	}
	return made
}

func (f *feed) make(ctx context.Context, since int64) (*madeFeed, error) {
	if err := f.issuer.revocations.Open(ctx); err != nil {
		return nil, err
	}
	keys, err := f.issuer.keys.Current(ctx)
	if err != nil {
		return nil, err
	}
	made := &madeFeed{at: time.Now(), changes: f.issuer.revocations.Changes(), keys: keys} // before what is told
	told := f.issuer.revocations.Feed(time.Unix(since, 0))
	told.Issuer, told.IssuedAt, told.Keys = f.issuer.URL, time.Now().Unix(), f.issuer.keys.RevokedUntil(keys) // not before AsOf
	signed, err := f.sign(ctx, told)
	if err != nil {
		return nil, err
	}
	made.Document = oauth.NewDocument([]byte(signed), feedContentType, feedMaxAge)
	f.keep(since, made)
	return made, nil
}

func (f *feed) sign(ctx context.Context, told *revocation.Feed) (string, error) {
	claims, err := told.Encode()
	if err != nil {
		return "", err
	}
	key, err := f.issuer.keys.Signer(ctx)
	if err != nil {
		return "", err
	}
	return key.SignAs(revocation.FeedType, claims)
}

// keep keeps a feed, and lets go of those that nobody has asked for.
func (f *feed) keep(since int64, made *madeFeed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made[since] = made
	for since, old := range f.made {
		if made.at.Sub(old.at) > 2*feedRenewal {
			delete(f.made, since)
		}
	}
}
