package door

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

const testIssuer = "https://auth.example.com"

// testHost is a web server without error routes, access log and metrics.
type testHost struct{}

func (testHost) AddLogFields(*http.Request, ...zap.Field)        {}
func (testHost) ClientIP(*http.Request) string                   { return "" }
func (testHost) TrustedProxy(*http.Request) bool                 { return false }
func (testHost) Received(*http.Request) (string, *url.URL)       { return "", nil }
func (testHost) SetUser(*http.Request, *token.Claims)            {}
func (testHost) Error(_ int, err error) error                    { return err }
func (testHost) HasErrorRoute(*http.Request, error, []byte) bool { return false }
func (testHost) Metrics(string) *metrics.Door                    { return nil }

// handlerFunc is a Handler.
type handlerFunc func(w http.ResponseWriter, r *http.Request) error

func (f handlerFunc) ServeHTTP(w http.ResponseWriter, r *http.Request) error { return f(w, r) }

// streamDoor returns a door without leeway, whose issuer must not be asked.
func streamDoor(t testing.TB) *Door {
	t.Helper()
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Config{
		Issuers:  []*TrustedIssuer{{Expect: token.Expect{Issuer: testIssuer}, Metrics: m.Door(testIssuer)}},
		Audience: []string{"api"}, Host: testHost{}, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func streamClaims(lifetime time.Duration) *token.Claims {
	now := time.Now()
	return &token.Claims{Issuer: testIssuer, ID: "A", ClientID: "bot", IssuedAt: now, Expires: now.Add(lifetime), All: map[string]any{"client_id": "bot"}}
}

// waiting is a handler that waits for the end of the request, but not for more than an hour.
var waiting = handlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
	select {
	case <-r.Context().Done():
	case <-time.After(time.Hour):
	}
	return nil
})

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
	d := streamDoor(t)
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
				next := handlerFunc(func(w http.ResponseWriter, r *http.Request) error {
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
					if err := d.pass(answer, httptest.NewRequest("GET", "/", nil), next, streamClaims(500*time.Millisecond), ""); err != nil {
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
	d := streamDoor(t) // a check would panic: there is no issuer to ask
	var served []weak.Pointer[stream]
	next := handlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		served = append(served, weak.Make(w.(*stream)))
		return nil
	})
	claims := streamClaims(time.Hour)
	for range 100 {
		if err := d.pass(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), next, claims, ""); err != nil {
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
			d := streamDoor(b)
			d.KeepStreams = keep
			next := handlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
			w, r, claims := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), streamClaims(time.Hour)
			b.ReportAllocs()
			for b.Loop() {
				if err := d.pass(w, r, next, claims, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
