package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/discovery"
	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

const (
	// feedInterval is the time between two requests for a feed. While nothing is known it is feedRetry at first, and
	// doubles each time up to feedMaxRetry, because the answer may be large.
	feedInterval = 5 * time.Second
	feedRetry    = time.Second
	feedMaxRetry = 30 * time.Second
	// feedWhole is the time between two requests for the whole feed. It limits for how long a revocation can be missed if
	// the clocks of the issuer's nodes differ by more than the feed allows for. After a failure the whole feed is asked
	// for again after feedWholeRetry, and meanwhile what is new.
	feedWhole      = 15 * time.Minute
	feedWholeRetry = time.Minute
)

// feed follows the revocations that a remote issuer publishes, from when a door first needs them.
type feed struct {
	issuer string
	client *http.Client // nil stands for a new one
	keys   *discovery.Keys[*token.KeySet]
	known  *revocation.Copy
	logger func() *zap.Logger

	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	mu       sync.Mutex    // held by start and close
	started  atomic.Bool   // a door needs the feed, and there is one
	answered chan struct{} // closed after the first attempt to read the feed
	failures poll.Failures

	// used by follow alone
	uri                 string    // where the feed was published last
	location, etag      string    // of the last good answer
	wholeRead, wholeAsk time.Time // when the whole feed was read, and asked for
	lastPoll            time.Time // by the wall clock
}

func newFeed(issuer string, client *http.Client, keys *discovery.Keys[*token.KeySet], logger func() *zap.Logger) *feed {
	f := &feed{
		issuer: issuer, client: client, keys: keys, known: revocation.NewCopy(), logger: logger, answered: make(chan struct{}),
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

func (f *feed) close() {
	f.mu.Lock()
	f.cancel()
	f.mu.Unlock()
	f.wg.Wait()
}

// published returns the URL of the feed, or "" if the issuer has none or its metadata has not been read yet.
func (f *feed) published() string {
	if metadata := f.keys.Metadata(); metadata != nil {
		return metadata.RevocationsURI
	}
	return ""
}

// start follows the feed from now on, if the issuer has one.
func (f *feed) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.started.Load() && f.ctx.Err() == nil && f.published() != "" {
		f.started.Store(true)
		f.wg.Go(f.follow)
	}
}

// require records the lack of a feed as a problem if a door requires one.
func (f *feed) require(required bool) {
	switch missing := f.keys.Metadata() != nil && f.published() == "" && !f.started.Load(); {
	case missing && required:
		f.record(errNotPublished)
	case missing:
		f.failures.Succeeded()
	}
}

func (f *feed) follow() {
	first := sync.OnceFunc(func() { close(f.answered) })
	retry := feedRetry
	for f.ctx.Err() == nil {
		f.record(f.poll())
		first()
		wait := feedInterval
		if f.known.AsOf().IsZero() {
			wait, retry = retry, min(2*retry, feedMaxRetry)
		}
		select {
		case <-f.ctx.Done():
		case <-time.After(wait):
		}
	}
}

// record logs each new reason of a failure once. What is known stays in force.
func (f *feed) record(err error) {
	if f.ctx.Err() != nil {
		return
	}
	switch {
	case err == nil && f.failures.Succeeded():
		f.logger().Info("revocations of a remote issuer are known again", zap.Int("count", f.known.Len()))
	case err != nil && f.failures.Failed(err):
		f.logger().Error("revocations of a remote issuer cannot be read, those that are known stay in force", zap.Error(err))
	}
}

// poll requests what is new, or the whole feed, and adopts it. A 304 says that nothing is new, but not as of when, so only
// a signed answer makes the knowledge newer.
func (f *feed) poll() error {
	since, now := f.known.AsOf(), time.Now()
	if now.Round(0).Before(f.lastPoll) { // while the clock was ahead, revocations may have been dropped too early
		f.wholeRead, f.wholeAsk = time.Time{}, time.Time{}
	}
	f.lastPoll = now.Round(0)
	if now.Sub(f.wholeRead) >= feedWhole && now.Sub(f.wholeAsk) >= feedWholeRetry {
		since, f.wholeAsk = time.Time{}, now
	}
	f.uri = cmp.Or(f.published(), f.uri) // a node of an older version may have answered for the issuer
	location, since, err := feedLocation(f.uri, since)
	if err != nil {
		return err
	}
	etag := ""
	if location == f.location {
		etag = f.etag
	}
	ctx, cancel := context.WithTimeout(f.ctx, discovery.Timeout)
	defer cancel()
	doc, err := fetch.Get(ctx, f.client, fetch.Request{URL: location, ETag: etag, MaxSize: revocation.MaxFeedSize})
	if err != nil {
		return fmt.Errorf("fetching %s: %w", location, err)
	}
	if !doc.Unchanged {
		if err := f.adopt(string(doc.Body), since); err != nil {
			return fmt.Errorf("reading %s: %w", location, err)
		}
	}
	f.location, f.etag = location, doc.ETag
	if since.IsZero() {
		f.wholeRead = now
	}
	return nil
}

// feedLocation returns the URL of what is new since a time, and that time, rounded down so that doors share the answers.
// The zero time stands for the whole feed.
func feedLocation(feed string, since time.Time) (string, time.Time, error) {
	u, err := url.Parse(feed)
	if err != nil || feed == "" {
		return "", since, errNotPublished
	}
	if since.IsZero() {
		return feed, since, nil
	}
	since = time.Unix(since.Unix()-since.Unix()%revocation.FeedStep, 0)
	query := u.Query()
	query.Set("since", strconv.FormatInt(since.Unix(), 10))
	u.RawQuery = query.Encode()
	return u.String(), since, nil
}

// adopt verifies an answer with the issuer's keys, as a token is verified, and adds its revocations to the known ones.
func (f *feed) adopt(signed string, since time.Time) error {
	kid, err := token.StatementKeyID(signed, revocation.MaxFeedSize)
	if err != nil {
		return err
	}
	if f.known.KeyRevoked(kid) {
		return errors.New("it is signed with a key that was given up")
	}
	keys, err := f.keys.Find(f.ctx, kid)
	if err != nil {
		return fmt.Errorf("getting the issuer's keys: %w", err)
	}
	claims, err := token.VerifyStatement(signed, revocation.FeedType, revocation.MaxFeedSize, keys)
	if err != nil {
		return err
	}
	feed, err := revocation.ParseFeed(claims, f.issuer, time.Now())
	if err != nil {
		return err
	}
	return f.known.Take(feed, since)
}

// ownClientID returns the client_id by which the issuer revokes, also if the door takes another claim for it.
func ownClientID(claims *token.Claims) string {
	if id, ok := claims.All["client_id"].(string); ok {
		return id
	}
	return claims.ClientID
}

var (
	errNotPublished = errors.New("the issuer publishes no revocations")
	errClosed       = errors.New("the issuer's revocations are not followed any more")
)

// wait waits for the first answer of a feed that is published.
func (f *feed) wait(ctx context.Context) error {
	if !f.known.AsOf().IsZero() || f.published() == "" {
		return nil
	}
	f.start()
	select {
	case <-f.answered:
		return nil
	case <-f.ctx.Done():
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// names reports whether a token, its client, the client that it is about or its key is known to be revoked.
func (f *feed) names(claims *token.Claims, kid string) bool {
	client := ownClientID(claims)
	return f.known.KeyRevoked(kid) || f.known.Revoked(claims.ID, client, claims.IssuedAt) ||
		claims.Subject != "" && claims.Subject != client && f.known.Revoked("", claims.Subject, claims.IssuedAt)
}
