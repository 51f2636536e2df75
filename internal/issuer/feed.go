package issuer

import (
	"context"
	"net/http"
	"strconv"
	"strings"
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
	// feedFloor is the least age at which a feed is replaced because of a change.
	feedFloor = time.Second
	// feedRenewal is the age at which a feed is replaced without a change, to show that there is none.
	feedRenewal = 15 * time.Second
)

// feed publishes what an issuer has revoked, for doors that do not share its storage. It signs a feed when one is
// requested, and serves it to all until it is too old.
type feed struct {
	issuer   *Server
	building singleflight.Group

	mu     sync.Mutex
	latest map[int64]*signedFeed // by the moment since which they list revocations
}

// signedFeed is immutable.
type signedFeed struct {
	*oauth.Document
	at      time.Time
	changes uint64
	keys    *keyring.Set
}

func newFeed(issuer *Server) *feed {
	return &feed{issuer: issuer, latest: make(map[int64]*signedFeed)}
}

func (f *feed) serve(w http.ResponseWriter, r *http.Request) {
	since, refusal := sinceOf(r.URL.RawQuery)
	if refusal != nil {
		refusal.Write(w)
		return
	}
	signed, err := f.get(r.Context(), f.moment(since))
	if err != nil {
		f.issuer.Logger.Debug("no revocations to publish", zap.Error(err))
		oauth.Unavailable("the revocations are not available now").Write(w)
		return
	}
	signed.ServeHTTP(w, r)
}

// sinceOf returns the parameter since, the moment from which a reader does not know the revocations; 0 if it is missing. It
// ignores all others, whatever they are.
func sinceOf(query string) (since int64, _ *oauth.Error) {
	found := false
	for parameter := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		if name != "since" {
			continue
		}
		if found {
			return 0, oauth.InvalidRequest("a parameter is repeated")
		}
		seconds, err := strconv.ParseUint(value, 10, 40)
		if err != nil {
			return 0, oauth.InvalidRequest("since is not a number of seconds")
		}
		found, since = true, int64(seconds)
	}
	return since, nil
}

// moment returns the moment for which there is a feed. It returns 0 for all moments whose feed would have every
// revocation, so that this feed, which may be large, exists once.
func (f *feed) moment(since int64) int64 {
	since -= since % revocation.FeedStep
	if !f.issuer.Revocations.CoversSince(time.Unix(since, 0)) {
		return 0
	}
	return since
}

func (f *feed) get(ctx context.Context, since int64) (*signedFeed, error) {
	if signed := f.current(ctx, since); signed != nil {
		return signed, nil
	}
	return poll.Shared(ctx, &f.building, strconv.FormatInt(since, 10), func(ctx context.Context) (*signedFeed, error) {
		if signed := f.current(ctx, since); signed != nil {
			return signed, nil
		}
		return f.build(ctx, since)
	})
}

// current returns the latest feed, nil if it must be replaced.
func (f *feed) current(ctx context.Context, since int64) *signedFeed {
	f.mu.Lock()
	signed := f.latest[since]
	f.mu.Unlock()
	if signed == nil {
		return nil
	}
	keys, err := f.issuer.Keys.Current(ctx)
	age, changed := time.Since(signed.at), signed.changes != f.issuer.Revocations.Changes() || signed.keys != keys
	if err != nil || age >= feedRenewal || changed && age >= feedFloor {
		return nil
	}
	return signed
}

func (f *feed) build(ctx context.Context, since int64) (*signedFeed, error) {
	if err := f.issuer.Revocations.Open(ctx); err != nil {
		return nil, err
	}
	keys, err := f.issuer.Keys.Current(ctx)
	if err != nil {
		return nil, err
	}
	signed := &signedFeed{at: time.Now(), changes: f.issuer.Revocations.Changes(), keys: keys} // before the content is read
	content := f.issuer.Revocations.Feed(time.Unix(since, 0))
	content.Issuer, content.IssuedAt, content.Keys = f.issuer.URL, time.Now().Unix(), f.issuer.Keys.RevokedUntil(keys) // not before AsOf
	claims, err := content.Encode()
	if err != nil {
		return nil, err
	}
	key, err := f.issuer.Keys.Signer(ctx)
	if err != nil {
		return nil, err
	}
	text, err := key.SignAs(revocation.FeedType, claims)
	if err != nil {
		return nil, err
	}
	signed.Document = oauth.NewDocument([]byte(text), feedContentType, feedMaxAge)
	f.keep(since, signed)
	return signed, nil
}

// keep keeps a feed, and drops those that were not requested lately.
func (f *feed) keep(since int64, signed *signedFeed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latest[since] = signed
	for since, old := range f.latest {
		if signed.at.Sub(old.at) > 2*feedRenewal {
			delete(f.latest, since)
		}
	}
}
