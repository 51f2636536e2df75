package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

const feedIssuer = "https://auth.example.com"

// feedOverNothing is an issuer with a feed, without a network.
type feedOverNothing struct {
	sync.Mutex
	t       *testing.T
	key     *token.SigningKey
	feed    map[string]any // claims in place of, or beside, those of a feed of nothing
	answer  func() string  // in place of a signed feed
	status  int            // in place of 200
	etag    string
	bare    bool // there is no feed, and the keys cannot be had
	queries []string
	matched int // answers of 304
}

func (f *feedOverNothing) RoundTrip(r *http.Request) (*http.Response, error) {
	f.Lock()
	defer f.Unlock()
	status, header, body := http.StatusOK, make(http.Header), ""
	switch {
	case f.bare && strings.HasSuffix(r.URL.Path, "/jwks"):
		status = http.StatusInternalServerError
	case f.bare && !strings.HasSuffix(r.URL.Path, "/revocations"):
		body = `{"issuer":"` + feedIssuer + `","jwks_uri":"` + feedIssuer + `/jwks"}`
	case strings.HasSuffix(r.URL.Path, "/jwks"):
		header.Set("Cache-Control", "max-age=86400")
		body = string(token.NewKeySet(f.key).JWKS())
	case strings.HasSuffix(r.URL.Path, "/revocations"):
		f.queries = append(f.queries, r.URL.RawQuery)
		if status, body = max(f.status, http.StatusOK), f.signed(); f.answer != nil {
			body = f.answer()
		}
		if header.Set("ETag", f.etag); f.etag != "" && r.Header.Get("If-None-Match") == f.etag {
			f.matched++
			status, body = http.StatusNotModified, ""
		}
	default:
		body = `{"issuer":"` + feedIssuer + `","jwks_uri":"` + feedIssuer + `/jwks","m2m_revocations_uri":"` + feedIssuer + `/revocations"}`
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// claims are a feed's, with some changed; nil removes one.
func (f *feedOverNothing) claims(changes map[string]any) []byte {
	now := time.Now().Unix()
	all := map[string]any{"iss": feedIssuer, "iat": now, "as_of": now, "since": 0, "tokens": map[string]int64{}, "clients": map[string]any{}, "keys": map[string]int64{}}
	for _, some := range []map[string]any{f.feed, changes} {
		for name, value := range some {
			all[name] = value
		}
	}
	claims, err := json.Marshal(all)
	if err != nil {
		f.t.Fatal(err)
	}
	return claims
}

// answers changes what is answered from now on.
func (f *feedOverNothing) answers(change func()) {
	f.Lock()
	defer f.Unlock()
	change()
}

// asked are the queries so far, and how many were answered with 304.
func (f *feedOverNothing) asked() (queries []string, matched int) {
	f.Lock()
	defer f.Unlock()
	return slices.Clone(f.queries), f.matched
}

func (f *feedOverNothing) signed() string { return f.state(f.key, revocation.FeedType, nil) }

func (f *feedOverNothing) state(key *token.SigningKey, typ string, changes map[string]any) string {
	signed, err := key.SignAs(typ, f.claims(changes))
	if err != nil {
		f.t.Fatal(err)
	}
	return signed
}

// testFeed runs a test with an issuer elsewhere whose keys are known, under a fake clock.
func testFeed(t *testing.T, test func(t *testing.T, f *feedOverNothing, r *remoteRevocations, logs *observer.ObservedLogs)) {
	testRemote(t, func(t *testing.T, f *feedOverNothing, remote *remoteIssuer, logs *observer.ObservedLogs) {
		test(t, f, remote.revocations, logs)
	})
}

// testRemote is testFeed for all of the issuer.
func testRemote(t *testing.T, test func(t *testing.T, f *feedOverNothing, remote *remoteIssuer, logs *observer.ObservedLogs)) {
	key, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := &feedOverNothing{t: t, key: key}
		core, logs := observer.New(zap.InfoLevel)
		remote := newRemoteIssuer(remotePlaceOf(feedIssuer, nil), &http.Client{Transport: f}, func() *zap.Logger { return zap.New(core) })
		defer func() { _ = remote.Destruct() }()
		if _, err := remote.keySet(t.Context(), key.ID()); err != nil {
			t.Fatal(err)
		}
		test(t, f, remote, logs)
	})
}

// pass lets time go by, until all that is due has been done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func digestOfName(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

func (r *remoteRevocations) has(t *testing.T, id string) bool {
	t.Helper()
	revoked, err := r.revoked(t.Context(), &token.Claims{ID: id, IssuedAt: time.Now()}, "", revocationBound{allow: true})
	if err != nil {
		t.Fatal(err)
	}
	return revoked
}

// TestBadFeeds: whatever is published in place of a feed, what is known stays in force, and the log says once what is
// wrong.
func TestBadFeeds(t *testing.T) {
	other, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	revokesB := map[string]any{"tokens": map[string]any{digestOfName("B"): time.Now().AddDate(1, 0, 0).Unix()}}
	with := func(name string, value any) map[string]any {
		return map[string]any{"tokens": revokesB["tokens"], name: value}
	}
	testFeed(t, func(t *testing.T, f *feedOverNothing, r *remoteRevocations, logs *observer.ObservedLogs) {
		f.answers(func() {
			f.feed = map[string]any{"tokens": map[string]any{digestOfName("A"): time.Now().Add(time.Hour).Unix()}}
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
			"an error":    {f.signed, 500, "status 500"},
			"too large":   {func() string { return strings.Repeat("x", revocation.MaxFeedSize+1) }, 0, "more than 33554432 bytes"},
			"another key": {func() string { return f.state(other, revocation.FeedType, revokesB) }, 0, "kid names no known key"},
			"a bad signature": {func() string {
				parts := strings.Split(f.signed(), ".")
				parts[1] = base64.RawURLEncoding.EncodeToString(f.claims(revokesB))
				return strings.Join(parts, ".")
			}, 0, "bad_signature"},
			"cut off":          {func() string { return f.signed()[:200] }, 0, "not three parts"},
			"an access token":  {func() string { return f.state(f.key, token.AccessTokenType, revokesB) }, 0, "typ is not m2m-revocations+jwt"},
			"an introspection": {func() string { return f.state(f.key, token.IntrospectionType, revokesB) }, 0, "typ is not m2m-revocations+jwt"},
			"no signature": {func() string {
				return header(`{"alg":"none","kid":"`+f.key.ID()+`","typ":"`+revocation.FeedType+`"}`) + ".e30.e30"
			}, 0, "none, symmetric or unknown"},
			"another algorithm": {func() string {
				return header(`{"alg":"ES256","kid":"`+f.key.ID()+`","typ":"`+revocation.FeedType+`"}`) + ".e30.e30"
			}, 0, "not the algorithm of the key"},
			"another issuer": {func() string { return f.state(f.key, revocation.FeedType, with("iss", "https://other.example.com")) }, 0, "another issuer's"},
			"the future": {func() string {
				return f.state(f.key, revocation.FeedType, with("iat", time.Now().Add(time.Hour).Unix()))
			}, 0, "in the future"},
			"a gap": {func() string { return f.state(f.key, revocation.FeedType, with("since", time.Now().Unix())) }, 0, "does not go back as far as was asked"},
			"names": {func() string {
				return f.state(f.key, revocation.FeedType, map[string]any{"tokens": map[string]int{"B": 1 << 40}})
			}, 0, "no digest"},
			"other claims": {func() string { return f.state(f.key, revocation.FeedType, with("keys", "k")) }, 0, "not those of a feed"},
		} {
			f.answers(func() { f.answer, f.status = test.answer, test.status })
			logs.TakeAll()
			pass(3 * feedInterval)
			lines := logs.TakeAll()
			if len(lines) != 1 || lines[0].Level != zap.ErrorLevel || !strings.Contains(lines[0].ContextMap()["error"].(string), test.why) {
				t.Errorf("%s: the log has %v", name, lines)
			}
			if !r.has(t, "A") || r.has(t, "B") || r.problem() == "" {
				t.Errorf("%s: it was taken", name)
			}
			synctest.Wait()
			f.answers(func() { f.answer, f.status = nil, 0 })
			pass(feedInterval)
			if r.problem() != "" {
				t.Errorf("%s: afterwards %s", name, r.problem())
			}
		}
		f.answers(func() { f.feed = map[string]any{"keys": map[string]any{f.key.ID(): time.Now().Add(time.Hour).Unix()}} })
		pass(2 * feedInterval)
		if !strings.Contains(r.problem(), "signed with a key that was given up") {
			t.Errorf("a feed of a key that it gives up: %q", r.problem())
		}
	})
}

// TestFeedOverLostConnections: each is another one, and the reason is the same.
func TestFeedOverLostConnections(t *testing.T) {
	testFeed(t, func(t *testing.T, _ *feedOverNothing, r *remoteRevocations, logs *observer.ObservedLogs) {
		for port := range 10 {
			r.note(fmt.Errorf(`Get "%s/revocations": read tcp [::1]:%d->[::1]:443: i/o timeout`, feedIssuer, 40000+port))
		}
		if lines := logs.TakeAll(); len(lines) != 1 {
			t.Errorf("the log has %v", lines)
		}
		r.note(errors.New("another reason"))
		if lines := logs.TakeAll(); len(lines) != 1 || r.problem() != "another reason" {
			t.Errorf("the log has %v of another reason, and the problem is %q", lines, r.problem())
		}
	})
}

// TestFeedIsAskedForSparingly: everything once in a quarter of an hour, else what is new, and nothing twice.
func TestFeedIsAskedForSparingly(t *testing.T) {
	testFeed(t, func(t *testing.T, f *feedOverNothing, r *remoteRevocations, _ *observer.ObservedLogs) {
		pass(time.Minute)
		if queries, _ := f.asked(); len(queries) != 0 {
			t.Fatal("it was asked for although nobody needs it")
		}
		f.answers(func() { f.etag = `"1"` })
		r.has(t, "A")
		r.has(t, "A")
		synctest.Wait()
		if queries, _ := f.asked(); len(queries) != 1 || queries[0] != "" {
			t.Fatalf("it asked for %q", queries)
		}
		pass(10 * time.Minute)
		whole := func() (count int) {
			queries, _ := f.asked()
			for _, query := range queries {
				if query == "" {
					count++
				}
			}
			return count
		}
		// the ETag has said since then that nothing is new, and not that this was so lately
		if _, matched := f.asked(); whole() != 1 || matched < 100 || age(r) < 9*time.Minute {
			t.Errorf("everything was asked for %d times, %d were matched, it is %s old", whole(), matched, age(r))
		}
		f.answers(func() { f.etag = "" })
		pass(6 * time.Minute)
		if whole() != 2 || age(r) > feedInterval+time.Second {
			t.Errorf("everything was asked for %d times in 16 minutes, it is %s old", whole(), age(r))
		}
		f.answers(func() { f.status = 500 })
		pass(2 * time.Minute)
		f.answers(func() { f.status = 0 })
		pass(feedInterval)
		if queries, _ := f.asked(); queries[len(queries)-1] == "" { // it is the issuer that knows how far back its news go
			t.Error("after a gap it asked for everything")
		}
	})
}

func age(r *remoteRevocations) time.Duration { age, _ := r.age(); return age }

// TestBoundOfRevocations is what doors with several bounds make of the same knowledge.
func TestBoundOfRevocations(t *testing.T) {
	testFeed(t, func(t *testing.T, f *feedOverNothing, r *remoteRevocations, _ *observer.ObservedLogs) {
		f.answers(func() { f.status = 500 })
		able := func(bound revocationBound) bool {
			_, err := r.revoked(t.Context(), &token.Claims{ID: "A", IssuedAt: time.Now()}, "", bound)
			return err == nil
		}
		short, long := revocationBound{maxAge: time.Minute}, revocationBound{maxAge: time.Hour}
		lax, strict := revocationBound{maxAge: time.Minute, allow: true}, revocationBound{maxAge: time.Minute, required: true}
		check := func(when string, want ...bool) {
			t.Helper()
			for n, bound := range []revocationBound{short, long, lax, strict} {
				if got := able(bound); got != want[n] {
					t.Errorf("%s: bound %+v holds: %t", when, bound, got)
				}
			}
			synctest.Wait()
		}
		check("before anything is known", false, false, false, false)
		f.answers(func() { f.status = 0 })
		pass(feedRetry)
		check("at first", true, true, true, true)
		pass(time.Hour)
		check("an hour later", true, true, true, true)
		f.answers(func() { f.status = 500 })
		pass(time.Minute - feedInterval)
		check("after 55 seconds without an answer", true, true, true, true)
		pass(2 * feedInterval)
		check("after a minute without an answer", false, true, true, false)
		pass(time.Hour)
		check("after an hour without an answer", false, false, true, false)
		f.answers(func() { f.status = 0 })
		pass(feedInterval)
		check("when it is back", true, true, true, true)
	})
}

// TestNobodyWaitsForAFeedThatIsNotFollowed: a request that outlives its config gets an answer.
func TestNobodyWaitsForAFeedThatIsNotFollowed(t *testing.T) {
	testFeed(t, func(t *testing.T, _ *feedOverNothing, r *remoteRevocations, _ *observer.ObservedLogs) {
		r.close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := r.revoked(ctx, &token.Claims{ID: "A", IssuedAt: time.Now()}, "", revocationBound{}); !errors.Is(err, errNotFollowed) {
			t.Errorf("it says %v", err)
		}
	})
}

// TestEverythingCannotBeHad, because there is too much of it, or the way is too narrow: what is new is known all the same.
func TestEverythingCannotBeHad(t *testing.T) {
	testFeed(t, func(t *testing.T, f *feedOverNothing, r *remoteRevocations, _ *observer.ObservedLogs) {
		r.has(t, "A")
		synctest.Wait()
		f.answers(func() {
			f.answer = func() string {
				if f.queries[len(f.queries)-1] == "" {
					return "too much"
				}
				return f.signed()
			}
		})
		pass(time.Hour)
		if queries, _ := f.asked(); age(r) > 3*feedInterval || strings.Count(strings.Join(queries, "&")+"&", "&&") > 60 {
			t.Errorf("it is %s old", age(r))
		}
		f.answers(func() { f.status = 503 })
		pass(2 * feedWholeRetry)
		f.answers(func() { f.status = 0 })
		pass(10 * time.Minute)
		if age(r) > 3*feedInterval {
			t.Errorf("after the issuer was away it is %s old", age(r))
		}
		f.answers(func() { f.answer = nil })
		pass(feedWholeRetry + feedInterval)
		f.answers(func() { f.queries = nil })
		pass(feedWhole - 2*feedWholeRetry)
		if queries, _ := f.asked(); slices.Contains(queries, "") {
			t.Error("when everything could be had again it was asked for once more")
		}
	})
}

// TestFeedThatIsPublishedNoMore: that there was one is enough to insist on it, also where it was never read.
func TestFeedThatIsPublishedNoMore(t *testing.T) {
	testFeed(t, func(t *testing.T, f *feedOverNothing, r *remoteRevocations, _ *observer.ObservedLogs) {
		fails := func() bool {
			_, err := r.revoked(t.Context(), &token.Claims{ID: "A", IssuedAt: time.Now()}, "", revocationBound{maxAge: time.Minute})
			synctest.Wait()
			return err != nil
		}
		f.answers(func() { f.status = 500 })
		if !fails() {
			t.Fatal("it is known what nobody said")
		}
		f.answers(func() { f.bare = true })
		for range 3 {
			_, _ = r.keys.Get(t.Context(), "unknown") // has the keys fetched, and then the metadata
			pass(time.Minute)
		}
		if r.published() != "" || !fails() {
			t.Errorf("its tokens are taken; it publishes %q", r.published())
		}
	})
}

// TestFeedAfterTheClockIsPutBack is asked for as a whole, for a clock that is ahead ends what is known too soon.
func TestFeedAfterTheClockIsPutBack(t *testing.T) {
	testFeed(t, func(t *testing.T, f *feedOverNothing, r *remoteRevocations, _ *observer.ObservedLogs) {
		for n, want := range []bool{true, false, true, false} {
			if err := r.look(); err != nil {
				t.Fatal(err)
			}
			if queries, _ := f.asked(); (queries[n] == "") != want {
				t.Errorf("look %d asks for %q", n, queries[n])
			}
			if n == 1 {
				r.looked = r.looked.Add(time.Hour)
			}
			time.Sleep(feedInterval)
		}
	})
}

// TestFeedThatCannotBeHad at first is asked for less and less often, for it may be large.
func TestFeedThatCannotBeHad(t *testing.T) {
	testFeed(t, func(t *testing.T, f *feedOverNothing, r *remoteRevocations, _ *observer.ObservedLogs) {
		f.answers(func() { f.answer = func() string { return "too much" } })
		_, _ = r.revoked(t.Context(), &token.Claims{ID: "A", IssuedAt: time.Now()}, "", revocationBound{})
		pass(10 * time.Minute)
		if queries, _ := f.asked(); len(queries) > 25 {
			t.Errorf("it was asked for %d times in 10 minutes", len(queries))
		}
		f.answers(func() { f.answer = nil })
		pass(feedMaxRetry)
		if age(r) > feedMaxRetry {
			t.Errorf("it is %s old", age(r))
		}
	})
}

// TestMetadataWithoutTheFeed: where it was once it goes on being asked for, and how old it is goes on being told.
func TestMetadataWithoutTheFeed(t *testing.T) {
	testFeed(t, func(t *testing.T, f *feedOverNothing, r *remoteRevocations, _ *observer.ObservedLogs) {
		registry := prometheus.NewRegistry()
		m, err := metrics.New(registry)
		if err != nil {
			t.Fatal(err)
		}
		r.has(t, "A")
		f.answers(func() { f.bare = true })
		for range 3 {
			_, _ = r.keys.Get(t.Context(), "unknown")
			pass(time.Minute)
		}
		if r.published() != "" {
			t.Fatal("the metadata names it")
		}
		told := func() (age, healthy float64) {
			m.RemoteRevocations(feedIssuer, r.problem() == "", r.known.AsOf())
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
		if age, healthy := told(); age > 10 || healthy != 1 {
			t.Errorf("it is followed, and is told to be %g s old, healthy %g", age, healthy)
		}
		f.answers(func() { f.status = 404 })
		pass(time.Hour)
		if age, healthy := told(); age < 3500 || healthy != 0 {
			t.Errorf("it is gone, and is told to be %g s old, healthy %g", age, healthy)
		}
	})
}

// TestRevokedWhateverTheClientIsCalled: the issuer revokes by client_id, also where a door takes another claim for it.
func TestRevokedWhateverTheClientIsCalled(t *testing.T) {
	testFeed(t, func(t *testing.T, f *feedOverNothing, r *remoteRevocations, _ *observer.ObservedLogs) {
		now := time.Now()
		f.answers(func() {
			f.feed = map[string]any{"clients": map[string]any{digestOfName("ci-bot"): map[string]any{"before": now.Unix(), "exp": now.Add(time.Hour).Unix()}}}
		})
		for client, want := range map[string]bool{"ci-bot": true, "other": false} {
			for _, claim := range []string{"", "team"} {
				claims, err := json.Marshal(map[string]any{
					"iss": feedIssuer, "aud": "api", "sub": client, "client_id": client, "team": "ci-bot", "jti": "J",
					"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
				})
				if err != nil {
					t.Fatal(err)
				}
				raw, err := f.key.SignAs(token.AccessTokenType, claims)
				if err != nil {
					t.Fatal(err)
				}
				trusted := &TrustedIssuer{URL: feedIssuer, Audience: []string{"api"}, ClientClaim: claim}
				verified, err := token.Verify(raw, token.NewKeySet(f.key), trusted.expect())
				if err != nil {
					t.Fatal(err)
				}
				revoked, err := r.revoked(t.Context(), verified, f.key.ID(), revocationBound{maxAge: time.Minute})
				if revoked != want || err != nil {
					t.Errorf("a token of %s, client_claim %q: revoked %t, %v", client, claim, revoked, err)
				}
			}
		}
		synctest.Wait()
	})
}

// TestStrangerDoesNotHoldUpTheFeed: a kid that nobody has keeps the door from looking for another one that a token names,
// and not from the key that the feed is signed with after another was given up.
func TestStrangerDoesNotHoldUpTheFeed(t *testing.T) {
	fresh, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	testFeed(t, func(t *testing.T, f *feedOverNothing, r *remoteRevocations, _ *observer.ObservedLogs) {
		r.has(t, "A")
		leaked := f.key.ID()
		if _, err := r.keys.Get(t.Context(), "nobody's"); err != nil {
			t.Fatal(err)
		}
		f.answers(func() {
			f.key, f.feed = fresh, map[string]any{"keys": map[string]any{leaked: time.Now().Add(time.Hour).Unix()}}
		})
		pass(feedInterval + time.Second)
		if !r.known.KeyRevoked(leaked) {
			t.Errorf("the key is not given up: %s", r.problem())
		}
	})
}

// TestStreamBeforeAnyFeed: a request that was let through while the issuer published no feed goes on when the issuer
// begins to publish one, also when the feed cannot be read at first. The revocations of the feed then count.
func TestStreamBeforeAnyFeed(t *testing.T) {
	testFeed(t, func(t *testing.T, f *feedOverNothing, r *remoteRevocations, _ *observer.ObservedLogs) {
		claims, bound := &token.Claims{Issuer: feedIssuer, ID: "A", ClientID: "bot", IssuedAt: time.Now()}, revocationBound{maxAge: time.Minute}
		f.answers(func() { f.status = 500 })
		r.begin()
		pass(time.Minute)
		if revoked, err := r.revokedSince(claims, "", bound); revoked || err != nil {
			t.Errorf("before the feed was ever read: %t, %v", revoked, err)
		}
		f.answers(func() {
			f.status, f.feed = 0, map[string]any{"tokens": map[string]int64{digestOfName("A"): time.Now().Add(time.Hour).Unix()}}
		})
		pass(feedMaxRetry)
		if revoked, err := r.revokedSince(claims, "", bound); !revoked || err != nil {
			t.Errorf("after the feed was read: %t, %v", revoked, err)
		}
	})
}
