package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// streamDoorFor is a door without leeway that takes tokens of a remote issuer. A nil issuer must not be asked.
func streamDoorFor(t testing.TB, remote *remoteIssuer, bound revocationBound) *AuthHandler {
	t.Helper()
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	trusted := &TrustedIssuer{URL: feedIssuer, remote: remote, bound: bound, metrics: m.Door(feedIssuer)}
	if remote != nil {
		trusted.keys = &trustedRemote{remote, time.Hour, bound}
	}
	return &AuthHandler{trusted: []*TrustedIssuer{trusted}, logger: zap.NewNop(), Leeway: new(caddy.Duration)}
}

func streamClaims(lifetime time.Duration) *token.Claims {
	now := time.Now()
	return &token.Claims{Issuer: feedIssuer, ID: "A", ClientID: "bot", IssuedAt: now, Expires: now.Add(lifetime), All: map[string]any{"client_id": "bot"}}
}

func streamRequest() *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	return r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer()))
}

// waiting is a handler that waits for the end of the request, but not for more than an hour.
var waiting = caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
	select {
	case <-r.Context().Done():
	case <-time.After(time.Hour):
	}
	return nil
})

// TestStreamsOfARemoteIssuer end when a new request with the token would be refused, and how late.
func TestStreamsOfARemoteIssuer(t *testing.T) {
	soon := time.Now().Add(100 * 365 * 24 * time.Hour).Unix() // also by the fake clock
	bound := revocationBound{maxAge: time.Minute}
	for name, test := range map[string]struct {
		bound    revocationBound
		change   func(f *feedOverNothing, remote *remoteIssuer)
		reason   string // "" is that the stream lives on
		from, to time.Duration
	}{
		"exp":       {bound: bound, reason: "expired", from: 30 * time.Minute, to: 30 * time.Minute},
		"the token": {bound: bound, change: revokes("tokens", map[string]int64{digestOfName("A"): soon}), reason: "revoked", to: feedInterval + streamInterval},
		"the client": {bound: bound, change: revokes("clients", map[string]any{digestOfName("bot"): map[string]int64{"before": soon, "exp": soon}}),
			reason: "revoked", to: feedInterval + streamInterval},
		"the key":       {bound: bound, change: func(f *feedOverNothing, _ *remoteIssuer) { f.giveUpKey(soon) }, reason: "revoked", to: feedInterval + streamInterval},
		"another token": {bound: bound, change: revokes("tokens", map[string]int64{digestOfName("B"): soon}), reason: "expired", from: 30 * time.Minute, to: 30 * time.Minute},
		"a feed that is away": {bound: bound, change: func(f *feedOverNothing, _ *remoteIssuer) { f.answers(func() { f.status = 500 }) },
			reason: "unknown", from: 50 * time.Second, to: time.Minute + 2*streamInterval},
		"a feed that is away, and allowed to be": {bound: revocationBound{maxAge: time.Minute, allow: true},
			change: func(f *feedOverNothing, _ *remoteIssuer) { f.answers(func() { f.status = 500 }) },
			reason: "expired", from: 30 * time.Minute, to: 30 * time.Minute},
		"an issuer that no config has": {bound: bound, change: func(_ *feedOverNothing, remote *remoteIssuer) { _ = remote.Destruct() },
			reason: "unknown", to: streamInterval},
	} {
		t.Run(name, func(t *testing.T) {
			testRemote(t, func(t *testing.T, f *feedOverNothing, remote *remoteIssuer, _ *observer.ObservedLogs) {
				h, kid := streamDoorFor(t, remote, test.bound), f.key.ID()
				claims := streamClaims(30 * time.Minute)
				if refused := revocationRefusal(h.trust(claims.Issuer).keys.IsRevoked(t.Context(), claims, kid)); refused != nil {
					t.Fatal(refused.cause)
				}
				if test.change != nil {
					test.change(f, remote)
				}
				begun, answer := time.Now(), httptest.NewRecorder()
				if err := h.pass(answer, streamRequest(), waiting, claims, kid); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begun); took < test.from || took > test.to {
					t.Errorf("it ends after %s, want %s to %s", took, test.from, test.to)
				}
				body := test.reason
				if body == "unknown" {
					body = reasonNoRevocations
				}
				if !strings.Contains(answer.Body.String(), `"reason":"`+body+`"`) {
					t.Errorf("the answer is %d %s", answer.Code, answer.Body)
				}
			})
		})
	}
}

func revokes(what string, entries any) func(*feedOverNothing, *remoteIssuer) {
	return func(f *feedOverNothing, _ *remoteIssuer) {
		f.answers(func() { f.feed = map[string]any{what: entries} })
	}
}

// giveUpKey has the issuer sign with another key, and give the former up.
func (f *feedOverNothing) giveUpKey(until int64) {
	key, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		f.t.Fatal(err)
	}
	f.answers(func() {
		f.feed = map[string]any{"keys": map[string]int64{f.key.ID(): until}}
		f.key = key
	})
}

// TestStreamBeforeAnyFeed: a request that was let through while the issuer published no feed goes on when the issuer
// begins to publish one, also when the feed cannot be read at first. The revocations of the feed then count.
func TestStreamBeforeAnyFeed(t *testing.T) {
	testFeed(t, func(t *testing.T, f *feedOverNothing, r *remoteRevocations, _ *observer.ObservedLogs) {
		claims, bound := streamClaims(time.Hour), revocationBound{maxAge: time.Minute}
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

// finalRecorder leaves informational responses out.
type finalRecorder struct{ *httptest.ResponseRecorder }

func (r finalRecorder) WriteHeader(status int) {
	if status >= 200 {
		r.ResponseRecorder.WriteHeader(status)
	}
}

// TestOutcomeOfAClosedStream: the client never takes a part of a response for the whole, and gets nothing that the next
// handlers write after the end.
func TestOutcomeOfAClosedStream(t *testing.T) {
	h := streamDoorFor(t, nil, revocationBound{})
	fault := errors.New("a fault of the next handler")
	for name, test := range map[string]struct {
		before, after func(w http.ResponseWriter) error
		status        int // 0 is that the request is aborted
	}{
		"nothing is written":   {status: 401},
		"an error":             {after: func(http.ResponseWriter) error { return fault }, status: 401},
		"a proxy gives up":     {after: func(w http.ResponseWriter) error { w.WriteHeader(499); return nil }, status: 401},
		"a response has begun": {before: func(w http.ResponseWriter) error { w.WriteHeader(200); return nil }},
		"a body has begun":     {before: func(w http.ResponseWriter) error { _, err := w.Write([]byte("a")); return err }},
		"it was flushed":       {before: func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }},
		"a late header": {after: func(w http.ResponseWriter) error {
			w.Header().Set("X-Upstream", "late")
			w.WriteHeader(200)
			return nil
		}},
		"a late body": {after: func(w http.ResponseWriter) error {
			if n, err := w.Write([]byte("late")); n != 0 || err == nil {
				t.Errorf("a late body is taken: %d, %v", n, err)
			}
			return nil
		}},
		"a late hijacking": {after: func(w http.ResponseWriter) error { _, _, err := http.NewResponseController(w).Hijack(); return err }, status: 401},
		"early hints": {before: func(w http.ResponseWriter) error { w.WriteHeader(http.StatusEarlyHints); return nil },
			after: func(w http.ResponseWriter) error { w.WriteHeader(http.StatusEarlyHints); return nil }, status: 401},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer, aborted := finalRecorder{httptest.NewRecorder()}, any(nil)
				next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					if test.before != nil {
						if err := test.before(w); err != nil {
							t.Fatal(err)
						}
					}
					_ = waiting(w, r)
					if test.after != nil {
						return test.after(w)
					}
					return nil
				})
				func() {
					defer func() { aborted = recover() }()
					if err := h.pass(answer, streamRequest(), next, streamClaims(500*time.Millisecond), ""); err != nil {
						t.Error(err)
					}
				}()
				if test.status == 0 && aborted != http.ErrAbortHandler || test.status != 0 && (aborted != nil || answer.Code != test.status) {
					t.Errorf("the answer is %d, the handler ends with %v", answer.Code, aborted)
				}
				if strings.Contains(answer.Body.String(), "late") || test.status == 401 && answer.Header().Get("Www-Authenticate") == "" {
					t.Errorf("the answer has %v %s", answer.Header(), answer.Body)
				}
			})
		})
	}
}

// TestStreamsAreForgotten: neither the timer nor anything else keeps a request that was served, and no check is made
// afterwards.
func TestStreamsAreForgotten(t *testing.T) {
	h := streamDoorFor(t, nil, revocationBound{}) // a check would panic: there is no issuer to ask
	var served []weak.Pointer[stream]
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		served = append(served, weak.Make(w.(*stream)))
		return nil
	})
	claims := streamClaims(time.Hour)
	for range 100 {
		if err := h.pass(httptest.NewRecorder(), streamRequest(), next, claims, ""); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.GC()
	kept := 0
	for _, s := range served {
		if s.Value() != nil {
			kept++
		}
	}
	if kept > 10 { // one may still be on the stack, and the runtime drops stopped timers a few at a time
		t.Errorf("%d of %d requests are kept", kept, len(served))
	}
}

// BenchmarkPass is what a request that is let through pays for its end.
func BenchmarkPass(b *testing.B) {
	for name, keep := range map[string]bool{"watched": false, "kept": true} {
		b.Run(name, func(b *testing.B) {
			h := streamDoorFor(b, nil, revocationBound{})
			h.KeepStreams = keep
			next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
			w, r, claims := httptest.NewRecorder(), streamRequest(), streamClaims(time.Hour)
			b.ReportAllocs()
			for b.Loop() {
				if err := h.pass(w, r, next, claims, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
