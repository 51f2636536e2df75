package caddymodule

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
	// feedInterval is how often a feed is asked for. While nothing is known yet it is asked for again after feedRetry, and
	// then after twice as long each time, up to feedMaxRetry: the answer may be large.
	feedInterval = 5 * time.Second
	feedRetry    = time.Second
	feedMaxRetry = 30 * time.Second
	// feedWhole is how often everything is asked for, whatever is known: should nodes' clocks have been further apart
	// than the feed allows for, nothing is missed for longer. Should it fail, it is asked for again after feedWholeRetry,
	// and meanwhile for what is new.
	feedWhole      = 15 * time.Minute
	feedWholeRetry = time.Minute
)

// remoteRevocations follow the feed of an issuer elsewhere, once somebody needs it.
type remoteRevocations struct {
	issuer string
	client *http.Client // nil is one of its own
	keys   *discovery.Keys[*token.KeySet]
	known  *revocation.Copy
	logger func() *zap.Logger

	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	mu       sync.Mutex    // guards that nothing begins twice, or after the end
	begun    atomic.Bool   // somebody needs it, and there is one
	tried    chan struct{} // closed when the first answer has come, whatever it was
	failures poll.Failures

	// of the one who follows alone
	feed           string    // where it was published last
	location, etag string    // of the last good answer
	whole, asked   time.Time // when everything was had, and asked for
	looked         time.Time // when the last look began, by the clock on the wall
}

func followRevocations(issuer string, client *http.Client, keys *discovery.Keys[*token.KeySet], logger func() *zap.Logger) *remoteRevocations {
	r := &remoteRevocations{
		issuer: issuer, client: client, keys: keys, known: revocation.NewCopy(), logger: logger, tried: make(chan struct{}),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

func (r *remoteRevocations) close() {
	r.mu.Lock()
	r.cancel()
	r.mu.Unlock()
	r.wg.Wait()
}

// published is where the feed is; "" when the issuer has none, or has not been asked yet.
func (r *remoteRevocations) published() string {
	if metadata := r.keys.Metadata(); metadata != nil {
		return metadata.RevocationsURI
	}
	return ""
}

// begin follows the feed from now on, if the issuer has one.
func (r *remoteRevocations) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.begun.Load() && r.ctx.Err() == nil && r.published() != "" {
		r.begun.Store(true)
		r.wg.Go(r.follow)
	}
}

// insist notes that the issuer is known to publish nothing, where a door insists on it.
func (r *remoteRevocations) insist(insisted bool) {
	switch missing := r.keys.Metadata() != nil && r.published() == "" && !r.begun.Load(); {
	case missing && insisted:
		r.note(errNotPublished)
	case missing:
		r.failures.Succeeded()
	}
}

// concerns reports whether there is something to tell of.
func (r *remoteRevocations) concerns() bool {
	return r.published() != "" || r.begun.Load() || r.problem() != ""
}

func (r *remoteRevocations) follow() {
	first := sync.OnceFunc(func() { close(r.tried) })
	retry := feedRetry
	for r.ctx.Err() == nil {
		r.note(r.look())
		first()
		wait := feedInterval
		if r.known.AsOf().IsZero() {
			wait, retry = retry, min(2*retry, feedMaxRetry)
		}
		select {
		case <-r.ctx.Done():
		case <-time.After(wait):
		}
	}
}

// note logs a fault once for each new reason. What is known stays in force.
func (r *remoteRevocations) note(err error) {
	if r.ctx.Err() != nil {
		return
	}
	switch {
	case err == nil && r.failures.Succeeded():
		r.logger().Info("revocations of a remote issuer are known again", zap.Int("count", r.known.Len()))
	case err != nil && r.failures.Failed(err):
		r.logger().Error("revocations of a remote issuer cannot be read, those that are known stay in force", zap.Error(err))
	}
}

// look asks for what is new, or for everything, and takes it. A 304 says that there is nothing new, but not when that
// was said: only a signed answer moves the moment as of which is known what is revoked.
func (r *remoteRevocations) look() error {
	since, now := r.known.AsOf(), time.Now()
	if now.Round(0).Before(r.looked) { // the clock was put back: while it was ahead, what is not over may have been let go of
		r.whole, r.asked = time.Time{}, time.Time{}
	}
	r.looked = now.Round(0)
	if now.Sub(r.whole) >= feedWhole && now.Sub(r.asked) >= feedWholeRetry {
		since, r.asked = time.Time{}, now
	}
	r.feed = cmp.Or(r.published(), r.feed) // a node of an older version may have answered for the issuer
	location, since, err := feedLocation(r.feed, since)
	if err != nil {
		return err
	}
	etag := ""
	if location == r.location {
		etag = r.etag
	}
	ctx, cancel := context.WithTimeout(r.ctx, discovery.Timeout)
	defer cancel()
	doc, err := fetch.Get(ctx, r.client, fetch.Request{URL: location, ETag: etag, MaxSize: revocation.MaxFeedSize})
	if err != nil {
		return fmt.Errorf("fetching %s: %w", location, err)
	}
	if !doc.Unchanged {
		if err := r.take(string(doc.Body), since); err != nil {
			return fmt.Errorf("reading %s: %w", location, err)
		}
	}
	r.location, r.etag = location, doc.ETag
	if since.IsZero() {
		r.whole = now
	}
	return nil
}

// feedLocation is where to ask for what is new since a moment, and the moment that is asked for, which is so much
// earlier that many doors ask for the same. The zero time asks for everything.
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

// take verifies an answer as a token is verified, with the issuer's keys, and adds what it says.
func (r *remoteRevocations) take(signed string, since time.Time) error {
	kid, err := token.StatementKeyID(signed, revocation.MaxFeedSize)
	if err != nil {
		return err
	}
	if r.known.KeyRevoked(kid) {
		return errors.New("it is signed with a key that was given up")
	}
	keys, err := r.keys.Find(r.ctx, kid)
	if err != nil {
		return fmt.Errorf("getting the issuer's keys: %w", err)
	}
	claims, err := token.VerifyStatement(signed, revocation.FeedType, revocation.MaxFeedSize, keys)
	if err != nil {
		return err
	}
	feed, err := revocation.ParseFeed(claims, r.issuer, time.Now())
	if err != nil {
		return err
	}
	return r.known.Take(feed, since)
}

// age is how old the newest knowledge is, if there is any.
func (r *remoteRevocations) age() (age time.Duration, known bool) {
	asOf := r.known.AsOf()
	return time.Since(asOf), !asOf.IsZero()
}

// problem says why the feed was not read at the last attempt; "" is that it was.
func (r *remoteRevocations) problem() string { return r.failures.Reason() }

// revocationBound is how old a door's knowledge of what a remote issuer has revoked may be.
type revocationBound struct {
	maxAge   time.Duration
	allow    bool // takes what is not known to be revoked also beyond that, once anything is known
	required bool // an issuer must publish what it has revoked
}

// insists reports whether no token is taken of an issuer that publishes nothing.
func (b revocationBound) insists() bool { return b.required && !b.allow }

// within says why the bound does not hold; nil is that it does, or that this is put up with.
func (b revocationBound) within(r *remoteRevocations) error {
	switch age, known := r.age(); {
	case r.published() == "" && !r.begun.Load(): // one that there was once is insisted on
		if b.insists() {
			return errNotPublished
		}
	case !known: // also with allow: who knows nothing would take all that was revoked before a restart
		return errors.New("the issuer's revocations were not read yet")
	case age > b.maxAge && !b.allow:
		return fmt.Errorf("the issuer's revocations are known as of %s ago, more than %s", age.Round(time.Second), b.maxAge)
	}
	return nil
}

// ownClientID is the client as the issuer that publishes revocations calls it, whatever else a door takes for it.
func ownClientID(claims *token.Claims) string {
	if id, ok := claims.All["client_id"].(string); ok {
		return id
	}
	return claims.ClientID
}

var errNotPublished = errors.New("the issuer publishes no revocations")

var errNotFollowed = errors.New("the issuer's revocations are not followed any more")

// revoked reports whether a token, or the key that it is signed with, is known to be revoked. It fails when that is not
// known well enough. Only the first one waits for an answer: its key may turn out to be given up after it was verified.
func (r *remoteRevocations) revoked(ctx context.Context, claims *token.Claims, kid string, bound revocationBound) (bool, error) {
	if _, known := r.age(); !known && r.published() != "" {
		r.begin()
		select {
		case <-r.tried:
		case <-r.ctx.Done(): // of a config that has ended; nobody will try any more
			return false, errNotFollowed
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	if r.names(claims, kid) {
		return true, nil
	}
	return false, bound.within(r)
}

// names reports whether a token, its client or its key is known to be revoked.
func (r *remoteRevocations) names(claims *token.Claims, kid string) bool {
	return r.known.KeyRevoked(kid) || r.known.Revoked(claims.ID, ownClientID(claims), claims.IssuedAt)
}

// revokedSince reports whether a token that was let through is known to be revoked now. What was let through before
// any revocations were known, because the issuer published none, is not held against a feed that has yet to be read.
func (r *remoteRevocations) revokedSince(claims *token.Claims, kid string, bound revocationBound) (bool, error) {
	if r.ctx.Err() != nil {
		return false, errNotFollowed
	}
	if r.names(claims, kid) {
		return true, nil
	}
	if _, known := r.age(); !known {
		return false, nil
	}
	return false, bound.within(r)
}
