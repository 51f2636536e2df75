package remote

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/remote/remotetest"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// testFeed runs a test with a remote issuer whose keys are known, under a fake clock.
func testFeed(t *testing.T, test func(t *testing.T, f *remotetest.Issuer, r *feed, logs *observer.ObservedLogs)) {
	testRemote(t, func(t *testing.T, f *remotetest.Issuer, remote *Issuer, logs *observer.ObservedLogs) {
		test(t, f, remote.feed, logs)
	})
}

// testRemote is testFeed for the whole issuer.
func testRemote(t *testing.T, test func(t *testing.T, f *remotetest.Issuer, remote *Issuer, logs *observer.ObservedLogs)) {
	key, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := &remotetest.Issuer{T: t, Key: key}
		core, logs := observer.New(zap.InfoLevel)
		remote := New(ByDiscovery(remotetest.URL, nil), &http.Client{Transport: f}, func() *zap.Logger { return zap.New(core) })
		defer func() { _ = remote.Destruct() }()
		if _, err := remote.keys.Get(t.Context(), key.ID(), time.Hour); err != nil {
			t.Fatal(err)
		}
		test(t, f, remote, logs)
	})
}

// pass advances the clock, and waits until all that is due is done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// trust returns a door's view of an issuer of which only the feed is asked.
func trust(r *feed, bounds Bounds) *Trusted { return (&Issuer{feed: r}).Trust(bounds) }

func (f *feed) has(t *testing.T, id string) bool {
	t.Helper()
	revoked, err := trust(f, Bounds{AllowStale: true}).IsRevoked(t.Context(), &token.Claims{ID: id, IssuedAt: time.Now()}, "")
	if err != nil {
		t.Fatal(err)
	}
	return revoked
}

// TestBadFeeds: whatever is published instead of a feed, what is known stays in force, and the log says once what is
// wrong.
func TestBadFeeds(t *testing.T) {
	other, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	revokesB := map[string]any{"tokens": map[string]any{remotetest.DigestOf("B"): time.Now().AddDate(1, 0, 0).Unix()}}
	with := func(name string, value any) map[string]any {
		return map[string]any{"tokens": revokesB["tokens"], name: value}
	}
	testFeed(t, func(t *testing.T, f *remotetest.Issuer, r *feed, logs *observer.ObservedLogs) {
		f.Change(func() {
			f.Feed = map[string]any{"tokens": map[string]any{remotetest.DigestOf("A"): time.Now().Add(time.Hour).Unix()}}
		})
		if !r.has(t, "A") || r.has(t, "B") {
			t.Fatal("the first feed was not taken")
		}
		synctest.Wait()
		header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
		for name, test := range map[string]struct {
			answer func() string
			status int
			why    string
		}{
			"HTML":        {func() string { return "<html>.<p>.</p>" }, 0, "a character that no token has"},
			"nothing":     {func() string { return "" }, 0, "not three parts"},
			"an error":    {f.Signed, 500, "status 500"},
			"too large":   {func() string { return strings.Repeat("x", revocation.MaxFeedSize+1) }, 0, "more than 33554432 bytes"},
			"another key": {func() string { return f.State(other, revocation.FeedType, revokesB) }, 0, "kid names no known key"},
			"a bad signature": {func() string {
				parts := strings.Split(f.Signed(), ".")
				parts[1] = base64.RawURLEncoding.EncodeToString(f.Claims(revokesB))
				return strings.Join(parts, ".")
			}, 0, "bad_signature"},
			"cut off":          {func() string { return f.Signed()[:200] }, 0, "not three parts"},
			"an access token":  {func() string { return f.State(f.Key, token.AccessTokenType, revokesB) }, 0, "typ is not m2m-revocations+jwt"},
			"an introspection": {func() string { return f.State(f.Key, token.IntrospectionType, revokesB) }, 0, "typ is not m2m-revocations+jwt"},
			"no signature": {func() string {
				return header(`{"alg":"none","kid":"`+f.Key.ID()+`","typ":"`+revocation.FeedType+`"}`) + ".e30.e30"
			}, 0, "none, symmetric or unknown"},
			"another algorithm": {func() string {
				return header(`{"alg":"ES256","kid":"`+f.Key.ID()+`","typ":"`+revocation.FeedType+`"}`) + ".e30.e30"
			}, 0, "not the algorithm of the key"},
			"another issuer": {func() string { return f.State(f.Key, revocation.FeedType, with("iss", "https://other.example.com")) }, 0, "another issuer's"},
			"the future": {func() string {
				return f.State(f.Key, revocation.FeedType, with("iat", time.Now().Add(time.Hour).Unix()))
			}, 0, "in the future"},
			"a gap": {func() string { return f.State(f.Key, revocation.FeedType, with("since", time.Now().Unix())) }, 0, "does not go back as far as was asked"},
			"names": {func() string {
				return f.State(f.Key, revocation.FeedType, map[string]any{"tokens": map[string]int{"B": 1 << 40}})
			}, 0, "without a digest"},
			"other claims": {func() string { return f.State(f.Key, revocation.FeedType, with("keys", "k")) }, 0, "not those of a feed"},
		} {
			f.Change(func() { f.Answer, f.Status = test.answer, test.status })
			logs.TakeAll()
			pass(3 * feedInterval)
			lines := logs.TakeAll()
			if len(lines) != 1 || lines[0].Level != zap.ErrorLevel || !strings.Contains(lines[0].ContextMap()["error"].(string), test.why) {
				t.Errorf("%s: the log has %v", name, lines)
			}
			if !r.has(t, "A") || r.has(t, "B") || r.failures.Reason() == "" {
				t.Errorf("%s: it was taken", name)
			}
			synctest.Wait()
			f.Change(func() { f.Answer, f.Status = nil, 0 })
			pass(feedInterval)
			if r.failures.Reason() != "" {
				t.Errorf("%s: afterwards %s", name, r.failures.Reason())
			}
		}
		f.Change(func() { f.Feed = map[string]any{"keys": map[string]any{f.Key.ID(): time.Now().Add(time.Hour).Unix()}} })
		pass(2 * feedInterval)
		if !strings.Contains(r.failures.Reason(), "signed with a key that was given up") {
			t.Errorf("a feed of a key that it gives up: %q", r.failures.Reason())
		}
	})
}

// TestFeedOverLostConnections: the local port differs each time, and the reason stays the same.
func TestFeedOverLostConnections(t *testing.T) {
	testFeed(t, func(t *testing.T, _ *remotetest.Issuer, r *feed, logs *observer.ObservedLogs) {
		for port := range 10 {
			r.record(fmt.Errorf(`Get "%s/revocations": read tcp [::1]:%d->[::1]:443: i/o timeout`, remotetest.URL, 40000+port))
		}
		if lines := logs.TakeAll(); len(lines) != 1 {
			t.Errorf("the log has %v", lines)
		}
		r.record(errors.New("another reason"))
		if lines := logs.TakeAll(); len(lines) != 1 || r.failures.Reason() != "another reason" {
			t.Errorf("the log has %v of another reason, and the problem is %q", lines, r.failures.Reason())
		}
	})
}

func age(r *feed) time.Duration { return time.Since(r.known.AsOf()) }

// TestBoundOfRevocations: doors with different bounds judge the same knowledge.
func TestBoundOfRevocations(t *testing.T) {
	testFeed(t, func(t *testing.T, f *remotetest.Issuer, r *feed, _ *observer.ObservedLogs) {
		f.Change(func() { f.Status = 500 })
		able := func(bound Bounds) bool {
			_, err := trust(r, bound).IsRevoked(t.Context(), &token.Claims{ID: "A", IssuedAt: time.Now()}, "")
			return err == nil
		}
		short, long := Bounds{RevocationsMaxAge: time.Minute}, Bounds{RevocationsMaxAge: time.Hour}
		lax, strict := Bounds{RevocationsMaxAge: time.Minute, AllowStale: true}, Bounds{RevocationsMaxAge: time.Minute, RequireFeed: true}
		check := func(when string, want ...bool) {
			t.Helper()
			for n, bound := range []Bounds{short, long, lax, strict} {
				if got := able(bound); got != want[n] {
					t.Errorf("%s: bound %+v holds: %t", when, bound, got)
				}
			}
			synctest.Wait()
		}
		check("before anything is known", false, false, false, false)
		f.Change(func() { f.Status = 0 })
		pass(feedRetry)
		check("at first", true, true, true, true)
		pass(time.Hour)
		check("an hour later", true, true, true, true)
		f.Change(func() { f.Status = 500 })
		pass(time.Minute - feedInterval)
		check("after 55 seconds without an answer", true, true, true, true)
		pass(2 * feedInterval)
		check("after a minute without an answer", false, true, true, false)
		pass(time.Hour)
		check("after an hour without an answer", false, false, true, false)
		f.Change(func() { f.Status = 0 })
		pass(feedInterval)
		check("when it is back", true, true, true, true)
	})
}

// TestClosedFeed: a request that outlives its config gets an answer.
func TestClosedFeed(t *testing.T) {
	testFeed(t, func(t *testing.T, _ *remotetest.Issuer, r *feed, _ *observer.ObservedLogs) {
		r.close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := trust(r, Bounds{}).IsRevoked(ctx, &token.Claims{ID: "A", IssuedAt: time.Now()}, ""); !errors.Is(err, errClosed) {
			t.Errorf("it says %v", err)
		}
	})
}

// TestFeedThatIsNoLongerPublished is required, even if it was never read.
func TestFeedThatIsNoLongerPublished(t *testing.T) {
	testFeed(t, func(t *testing.T, f *remotetest.Issuer, r *feed, _ *observer.ObservedLogs) {
		fails := func() bool {
			_, err := trust(r, Bounds{RevocationsMaxAge: time.Minute}).IsRevoked(t.Context(), &token.Claims{ID: "A", IssuedAt: time.Now()}, "")
			synctest.Wait()
			return err != nil
		}
		f.Change(func() { f.Status = 500 })
		if !fails() {
			t.Fatal("revocations are known that were never published")
		}
		f.Change(func() { f.Bare = true })
		for range 3 {
			_, _ = r.keys.Get(t.Context(), "unknown", time.Hour) // has the keys fetched, and then the metadata
			pass(time.Minute)
		}
		if r.published() != "" || !fails() {
			t.Errorf("its tokens are taken; it publishes %q", r.published())
		}
	})
}

// TestMetadataWithoutTheFeed: the feed is still read from where it was, and its age is still reported.
func TestMetadataWithoutTheFeed(t *testing.T) {
	testFeed(t, func(t *testing.T, f *remotetest.Issuer, r *feed, _ *observer.ObservedLogs) {
		registry := prometheus.NewRegistry()
		m, err := metrics.New(registry)
		if err != nil {
			t.Fatal(err)
		}
		r.has(t, "A")
		f.Change(func() { f.Bare = true })
		for range 3 {
			_, _ = r.keys.Get(t.Context(), "unknown", time.Hour)
			pass(time.Minute)
		}
		if r.published() != "" {
			t.Fatal("the metadata names it")
		}
		reported := func() (age, healthy float64) {
			m.RemoteRevocations(remotetest.URL, r.failures.Reason() == "", r.known.AsOf())
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			values := make(map[string]float64)
			for _, family := range families {
				values[family.GetName()] = family.GetMetric()[0].GetGauge().GetValue()
			}
			return values["caddy_m2m_remote_revocations_age_seconds"], values["caddy_m2m_reload_healthy"]
		}
		pass(time.Hour)
		if age, healthy := reported(); age > 10 || healthy != 1 {
			t.Errorf("it is followed, and is reported to be %g s old, healthy %g", age, healthy)
		}
		f.Change(func() { f.Status = 404 })
		pass(time.Hour)
		if age, healthy := reported(); age < 3500 || healthy != 0 {
			t.Errorf("it is gone, and is reported to be %g s old, healthy %g", age, healthy)
		}
	})
}

// TestRevokedByClientID: the issuer revokes by client_id, also if a door takes another claim for the client.
func TestRevokedByClientID(t *testing.T) {
	testFeed(t, func(t *testing.T, f *remotetest.Issuer, r *feed, _ *observer.ObservedLogs) {
		now := time.Now()
		f.Change(func() {
			f.Feed = map[string]any{"clients": map[string]any{remotetest.DigestOf("ci-bot"): map[string]any{"before": now.Unix(), "exp": now.Add(time.Hour).Unix()}}}
		})
		for client, want := range map[string]bool{"ci-bot": true, "other": false} {
			for _, claim := range []string{"", "team"} {
				claims, err := json.Marshal(map[string]any{
					"iss": remotetest.URL, "aud": "api", "sub": client, "client_id": client, "team": "ci-bot", "jti": "J",
					"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
				})
				if err != nil {
					t.Fatal(err)
				}
				raw, err := f.Key.SignAs(token.AccessTokenType, claims)
				if err != nil {
					t.Fatal(err)
				}
				expect := token.Expect{Issuer: remotetest.URL, Audiences: []string{"api"}, ClientClaim: claim}
				verified, err := token.Verify(raw, token.NewKeySet(f.Key), expect)
				if err != nil {
					t.Fatal(err)
				}
				revoked, err := trust(r, Bounds{RevocationsMaxAge: time.Minute}).IsRevoked(t.Context(), verified, f.Key.ID())
				if revoked != want || err != nil {
					t.Errorf("a token of %s, client_claim %q: revoked %t, %v", client, claim, revoked, err)
				}
			}
		}
		synctest.Wait()
	})
}

// TestUnknownKidDoesNotDelayTheFeed: an unknown kid in a token delays the search for another one, but not for the key that
// signs the feed after the former key was revoked.
func TestUnknownKidDoesNotDelayTheFeed(t *testing.T) {
	fresh, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	testFeed(t, func(t *testing.T, f *remotetest.Issuer, r *feed, _ *observer.ObservedLogs) {
		r.has(t, "A")
		leaked := f.Key.ID()
		if _, err := r.keys.Get(t.Context(), "unknown", time.Hour); err != nil {
			t.Fatal(err)
		}
		f.Change(func() {
			f.Key, f.Feed = fresh, map[string]any{"keys": map[string]any{leaked: time.Now().Add(time.Hour).Unix()}}
		})
		pass(feedInterval + time.Second)
		if !r.known.KeyRevoked(leaked) {
			t.Errorf("the key is not given up: %s", r.failures.Reason())
		}
	})
}
