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

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/remote"
	"github.com/caddy-m2m/caddy-m2m/internal/remote/remotetest"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// streamDoorFor is a door without leeway that takes tokens of a remote issuer. A nil issuer must not be asked.
func streamDoorFor(t testing.TB, issuer *remote.Issuer, bounds remote.Bounds) *AuthHandler {
	t.Helper()
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	trusted := &TrustedIssuer{URL: remotetest.URL, metrics: m.Door(remotetest.URL)}
	if issuer != nil {
		bounds.KeysMaxStale = time.Hour
		trusted.remote = issuer.Trust(bounds)
		trusted.keys = trusted.remote
	}
	return &AuthHandler{trusted: []*TrustedIssuer{trusted}, logger: zap.NewNop(), Leeway: new(caddy.Duration)}
}

// feedInterval is how often package remote reads a feed.
const feedInterval = 5 * time.Second

// testRemote runs a test with a remote issuer whose keys are known, under a fake clock.
func testRemote(t *testing.T, test func(t *testing.T, f *remotetest.Issuer, issuer *remote.Issuer)) {
	key, err := token.GenerateKey(token.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := &remotetest.Issuer{T: t, Key: key}
		issuer := remote.New(remote.NewSource(remotetest.URL, nil), &http.Client{Transport: f}, zap.NewNop)
		defer func() { _ = issuer.Destruct() }()
		if _, err := issuer.KeySet(t.Context(), key.ID()); err != nil {
			t.Fatal(err)
		}
		test(t, f, issuer)
	})
}

func streamClaims(lifetime time.Duration) *token.Claims {
	now := time.Now()
	return &token.Claims{Issuer: remotetest.URL, ID: "A", ClientID: "bot", IssuedAt: now, Expires: now.Add(lifetime), All: map[string]any{"client_id": "bot"}}
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
	bound := remote.Bounds{RevocationsMaxAge: time.Minute}
	for name, test := range map[string]struct {
		bound    remote.Bounds
		change   func(f *remotetest.Issuer, issuer *remote.Issuer)
		reason   string // "" is that the stream lives on
		from, to time.Duration
	}{
		"exp":       {bound: bound, reason: "expired", from: 30 * time.Minute, to: 30 * time.Minute},
		"the token": {bound: bound, change: revokes("tokens", map[string]int64{remotetest.DigestOf("A"): soon}), reason: "revoked", to: feedInterval + streamInterval},
		"the client": {bound: bound, change: revokes("clients", map[string]any{remotetest.DigestOf("bot"): map[string]int64{"before": soon, "exp": soon}}),
			reason: "revoked", to: feedInterval + streamInterval},
		"the key":       {bound: bound, change: func(f *remotetest.Issuer, _ *remote.Issuer) { f.RevokeKey(soon) }, reason: "revoked", to: feedInterval + streamInterval},
		"another token": {bound: bound, change: revokes("tokens", map[string]int64{remotetest.DigestOf("B"): soon}), reason: "expired", from: 30 * time.Minute, to: 30 * time.Minute},
		"a feed that is away": {bound: bound, change: func(f *remotetest.Issuer, _ *remote.Issuer) { f.Change(func() { f.Status = 500 }) },
			reason: "unknown", from: 50 * time.Second, to: time.Minute + 2*streamInterval},
		"a feed that is away, and allowed to be": {bound: remote.Bounds{RevocationsMaxAge: time.Minute, AllowStale: true},
			change: func(f *remotetest.Issuer, _ *remote.Issuer) { f.Change(func() { f.Status = 500 }) },
			reason: "expired", from: 30 * time.Minute, to: 30 * time.Minute},
		"an issuer that no config has": {bound: bound, change: func(_ *remotetest.Issuer, issuer *remote.Issuer) { _ = issuer.Destruct() },
			reason: "unknown", to: streamInterval},
	} {
		t.Run(name, func(t *testing.T) {
			testRemote(t, func(t *testing.T, f *remotetest.Issuer, issuer *remote.Issuer) {
				h, kid := streamDoorFor(t, issuer, test.bound), f.Key.ID()
				claims := streamClaims(30 * time.Minute)
				if refused := revocationRefusal(h.trust(claims.Issuer).keys.IsRevoked(t.Context(), claims, kid)); refused != nil {
					t.Fatal(refused.cause)
				}
				if test.change != nil {
					test.change(f, issuer)
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

func revokes(what string, entries any) func(*remotetest.Issuer, *remote.Issuer) {
	return func(f *remotetest.Issuer, _ *remote.Issuer) {
		f.Change(func() { f.Feed = map[string]any{what: entries} })
	}
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
	h := streamDoorFor(t, nil, remote.Bounds{})
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
	h := streamDoorFor(t, nil, remote.Bounds{}) // a check would panic: there is no issuer to ask
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
			h := streamDoorFor(b, nil, remote.Bounds{})
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
