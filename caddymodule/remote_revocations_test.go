package caddymodule_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/servertest"
)

// feedOf is the feed of an issuer that is not this plugin, with what a test wants it to say.
type feedOf struct {
	issuer *servertest.Issuer

	mu     sync.Mutex
	feed   revocation.Feed
	answer http.HandlerFunc
}

func publishFeed(issuer *servertest.Issuer) *feedOf {
	f := &feedOf{issuer: issuer}
	f.feed = revocation.Feed{Tokens: map[string]int64{}, Clients: map[string]revocation.FeedClient{}, Keys: map[string]int64{}}
	issuer.PublishRevocations(f.serve)
	return f
}

func (f *feedOf) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answer != nil {
		f.answer(w, r)
		return
	}
	_, _ = io.WriteString(w, f.issuer.State(revocation.FeedType, f.claims(time.Now())))
}

func (f *feedOf) claims(now time.Time) []byte {
	feed := f.feed
	feed.Issuer, feed.IssuedAt = f.issuer.URL, now.Unix()
	if feed.AsOf == 0 {
		feed.AsOf = now.Unix()
	}
	claims, _ := json.Marshal(feed)
	return claims
}

// set changes what is published; nil is the feed again.
func (f *feedOf) set(change func(*revocation.Feed), answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answer = answer; change != nil {
		change(&f.feed)
	}
}

// digestOf is what docs/wire.md says that a name's digest is.
func digestOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// feedDoor is a door whose issuer publishes revocations.
func feedDoor(t *testing.T, options string) (*door, *feedOf) {
	t.Helper()
	var f *feedOf
	d := newDoorFor(t, func(issuer *servertest.Issuer) { f = publishFeed(issuer) },
		doorSite("m2m_ready /ready\nm2m_auth {\nissuer ISSUER {\naudience "+doorAudience+"\n"+options+"\n}\n}\nreverse_proxy UPSTREAM"))
	return d, f
}

func (d *door) want(raw string, status int, reason string) {
	d.t.Helper()
	if got := d.ask("GET", "/", bearer(raw)); got.status != status || got.reason() != reason {
		d.t.Errorf("the door answers %d %s, want %d %s", got.status, got.body, status, reason)
	}
}

func (d *door) sign(changes map[string]any) string {
	return d.issuer.Sign(d.issuer.Claims(doorAudience, "", changes), nil)
}

// TestRemoteRevocations: what a remote issuer has revoked is refused from the first token on, and what it revokes later after
// the next read of its feed. Revocations outlive a reload of the config while the issuer is down.
func TestRemoteRevocations(t *testing.T) {
	servertest.SkipUnlessLong(t)
	d, f := feedDoor(t, "")
	soon := time.Now().Add(time.Hour).Unix()
	f.set(func(feed *revocation.Feed) {
		feed.Tokens[digestOf("A")] = soon
		feed.Clients[digestOf("bot")] = revocation.FeedClient{Before: time.Now().Unix() - 60, Expires: soon}
	}, nil)
	good := d.sign(map[string]any{"jti": "B"})
	old, fresh := d.sign(map[string]any{"client_id": "bot", "iat": time.Now().Unix() - 60}), d.sign(map[string]any{"client_id": "bot"})
	d.want(d.sign(map[string]any{"jti": "A"}), http.StatusUnauthorized, "revoked")
	d.want(good, http.StatusOK, "")
	d.want(old, http.StatusUnauthorized, "revoked")
	d.want(fresh, http.StatusOK, "")
	f.set(func(feed *revocation.Feed) { feed.Tokens = map[string]int64{digestOf("B"): soon} }, nil)
	servertest.Eventually(t, "the door refuses what was revoked", func() bool { return d.ask("GET", "/", bearer(good)).status == 401 })
	d.want(d.sign(map[string]any{"jti": "A"}), http.StatusUnauthorized, "revoked") // although it is published no more
	d.issuer.SetDown(true)
	if err := d.Load(d.caddyfile + "# reloaded\n"); err != nil {
		t.Fatal(err)
	}
	d.want(good, http.StatusUnauthorized, "revoked")
	d.want(fresh, http.StatusOK, "")
	servertest.Eventually(t, "the log says that the feed fails", func() bool {
		return strings.Contains(d.Log(), "revocations of a remote issuer cannot be read")
	})
	d.issuer.SetDown(false)
	servertest.Eventually(t, "the log says that it works again", func() bool {
		return strings.Contains(d.Log(), "revocations of a remote issuer are known again")
	})
}

// TestRemoteKeyIsGivenUp: its tokens are refused, also those that were verified before and while the issuer goes on
// publishing the key, and so is a feed that is signed with it.
func TestRemoteKeyIsGivenUp(t *testing.T) {
	servertest.SkipUnlessLong(t)
	d, f := feedDoor(t, "")
	raw := d.sign(nil)
	d.want(raw, http.StatusOK, "")
	_, leaked := d.issuer.Key()
	d.issuer.Rotate()
	d.want(d.sign(nil), http.StatusOK, "") // has the new key fetched
	f.set(func(feed *revocation.Feed) { feed.Keys[leaked] = time.Now().Add(time.Hour).Unix() }, nil)
	servertest.Eventually(t, "the door refuses the key", func() bool { return d.ask("GET", "/", bearer(raw)).status == 401 })
	d.want(raw, http.StatusUnauthorized, "revoked")
	d.want(d.sign(nil), http.StatusOK, "")
}

// TestFirstTokenOfAKeyThatIsGivenUp: the issuer, or a cache before it, still publishes the key, and the first token is
// verified before it is known that the key was revoked.
func TestFirstTokenOfAKeyThatIsGivenUp(t *testing.T) {
	d, f := feedDoor(t, "")
	raw := d.sign(nil)
	_, leaked := d.issuer.Key()
	d.issuer.Rotate()
	f.set(func(feed *revocation.Feed) { feed.Keys[leaked] = time.Now().Add(time.Hour).Unix() }, nil)
	d.want(raw, http.StatusUnauthorized, "revoked")
}

// TestRemoteRevocationsThatAreTooOld: the door answers 503, unless it has `revocation_stale allow`. It always refuses tokens
// that are known to be revoked.
func TestRemoteRevocationsThatAreTooOld(t *testing.T) {
	servertest.SkipUnlessLong(t)
	for _, test := range []struct {
		options string
		age     time.Duration
		status  int
		reason  string
	}{
		{"", 6 * time.Minute, http.StatusServiceUnavailable, "no_revocations"},
		{"revocation_max_age 1h", 6 * time.Minute, http.StatusOK, ""},
		{"revocation_stale allow", 6 * time.Minute, http.StatusOK, ""},
	} {
		t.Run(fmt.Sprint(test.options, test.age), func(t *testing.T) {
			d, f := feedDoor(t, test.options)
			f.set(func(feed *revocation.Feed) {
				feed.AsOf = time.Now().Add(-test.age).Unix()
				feed.Tokens[digestOf("A")] = time.Now().Add(time.Hour).Unix()
			}, nil)
			d.want(d.sign(nil), test.status, test.reason)
			d.want(d.sign(map[string]any{"jti": "A"}), http.StatusUnauthorized, "revoked")
			ready := d.ask("GET", "/ready", nil)
			if lacks := `{"ready":false,"issuers":[{"issuer":"` + d.issuer.URL + `","lacks":["revocations"]}]}`; (ready.status == 200) != (test.status == 200) ||
				ready.status != 200 && ready.body != lacks {
				t.Errorf("ready answers %d %s", ready.status, ready.body)
			}
			if test.status == 200 {
				return
			}
			if got := d.ask("GET", "/", bearer(d.sign(nil))); got.header.Get("Retry-After") == "" || got.challenge() != "" {
				t.Errorf("header %v", got.header)
			}
			f.set(func(feed *revocation.Feed) { feed.AsOf = 0 }, nil)
			servertest.Eventually(t, "it goes on", func() bool { return d.ask("GET", "/", bearer(d.sign(nil))).status == 200 })
		})
	}
}

// TestNoFirstFeed: a door accepts no token before the first feed.
func TestNoFirstFeed(t *testing.T) {
	d, f := feedDoor(t, "")
	f.set(nil, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) })
	d.want(d.sign(nil), http.StatusServiceUnavailable, "no_revocations")
	f.set(nil, nil)
	servertest.Eventually(t, "it goes on", func() bool { return d.ask("GET", "/", bearer(d.sign(nil))).status == 200 })
}

// TestNoFirstFeedAtALaxDoor: a door with `revocation_stale allow` needs a first feed, and the log says that it is missing.
func TestNoFirstFeedAtALaxDoor(t *testing.T) {
	servertest.SkipUnlessLong(t)
	var f *feedOf
	d := newDoorFor(t, func(issuer *servertest.Issuer) { f = publishFeed(issuer) },
		doorSite("metrics /metrics\nm2m_auth /books {\nissuer ISSUER {\naudience "+doorAudience+"\nrevocation_stale allow\n}\n}\nreverse_proxy /books UPSTREAM"))
	f.set(nil, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
	ask := func() int { return d.ask("GET", "/books", bearer(d.sign(nil))).status }
	if got := ask(); got != http.StatusServiceUnavailable {
		t.Errorf("without a first feed the door answers %d", got)
	}
	servertest.Eventually(t, "the metrics tell", func() bool {
		return strings.Contains(d.ask("GET", "/metrics", nil).body, `caddy_m2m_reload_healthy{issuer="`+d.issuer.URL+`",kind="remote_revocations"} 0`)
	})
	f.set(nil, nil)
	servertest.Eventually(t, "it goes on", func() bool { return ask() == http.StatusOK })
}

// TestIssuerWithoutFeed: a door accepts the tokens of such an issuer, unless it requires the feed.
func TestIssuerWithoutFeed(t *testing.T) {
	servertest.SkipUnlessLong(t)
	for options, want := range map[string]struct {
		status int
		reason string
	}{
		"":                        {http.StatusOK, ""},
		"revocation_stale refuse": {http.StatusOK, ""},
		"revocation_max_age 1m":   {http.StatusServiceUnavailable, "no_revocations"},
	} {
		t.Run(options, func(t *testing.T) {
			d := newDoorSite(t, doorSite("route {\nmetrics /metrics\nm2m_auth {\nissuer ISSUER {\naudience "+doorAudience+"\n"+options+"\n}\n}\nreverse_proxy UPSTREAM\n}"))
			d.want(d.sign(nil), want.status, want.reason)
			told := func() bool {
				lines := 0
				for _, line := range d.LogLines("m2m") {
					if line["error"] == "the issuer publishes no revocations" {
						lines++
					}
				}
				return lines == 1 && strings.Contains(d.ask("GET", "/metrics", nil).body, `caddy_m2m_reload_healthy{issuer="`+d.issuer.URL+`",kind="remote_revocations"} 0`)
			}
			if want.reason == "" {
				time.Sleep(1500 * time.Millisecond) // after which it would be told
				if told() {
					t.Error("a feed is missing, although none is required")
				}
				return
			}
			servertest.Eventually(t, "it is told", told)
		})
	}
}
