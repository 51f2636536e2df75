package door

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// streamInterval is how often the door checks the token of a request that is still being served.
const streamInterval = time.Second

// streamUnknown is the reason for closing a stream when the door cannot tell whether its token was revoked. The other
// reasons are those of the refusal that a new request would get.
const streamUnknown = "unknown"

// stream is a request that was let through, while the next handlers serve it: a WebSocket, server-sent events, an
// upload, a download, or a short request. It is their ResponseWriter. One timer checks the token, so that the stream
// ends when a new request with the token would be refused.
type stream struct {
	http.ResponseWriter
	door   *Door
	claims *token.Claims
	kid    string
	until  time.Time // exp and the leeway
	ctx    context.Context
	cancel context.CancelFunc
	closed atomic.Pointer[Refusal] // why the stream was closed; written under mu
	body   streamBody

	mu       sync.Mutex
	timer    *time.Timer
	done     bool // the next handlers have returned
	started  bool // the response has begun; written only by the next handlers
	hijacked bool
}

// pass has the next handlers serve a request that was let through, for as long as its token is valid.
func (d *Door) pass(w http.ResponseWriter, r *http.Request, next Handler, claims *token.Claims, kid string) error {
	if d.KeepStreams {
		return passUnwatched(w, r, next)
	}
	s := d.newStream(w, r, claims, kid)
	defer s.report(r) // also when a handler panics, as reverse_proxy does when a response breaks off
	err := next.ServeHTTP(s, s.request(r))
	return s.finish(r, err)
}

// passUnwatched has the next handlers serve a request that no token ends.
func passUnwatched(w http.ResponseWriter, r *http.Request, next Handler) error {
	if hasBody(r) {
		r.Body = &requestBody{r.Body, r.ProtoMajor}
	}
	return next.ServeHTTP(w, r)
}

// newStream arms the timer of a stream. The caller must call end.
func (d *Door) newStream(w http.ResponseWriter, r *http.Request, claims *token.Claims, kid string) *stream {
	s := &stream{ResponseWriter: w, door: d, claims: claims, kid: kid, until: claims.Expires.Add(d.Leeway)}
	// The context has no cause: net/http's Transport would return it in place of context.Canceled, and reverse_proxy
	// would count a failure of the upstream.
	s.ctx, s.cancel = context.WithCancel(r.Context())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(s.untilCheck(), s.check)
	return s
}

// request returns r for the next handlers.
func (s *stream) request(r *http.Request) *http.Request {
	r = r.WithContext(s.ctx)
	if hasBody(r) {
		s.body = streamBody{requestBody{r.Body, r.ProtoMajor}, s}
		r.Body = &s.body
	}
	return r
}

// untilCheck returns the time until the next check.
func (s *stream) untilCheck() time.Duration {
	return min(streamInterval, max(time.Until(s.until), 0))
}

// check closes the stream if its token is no longer valid.
func (s *stream) check() {
	var refused *Refusal
	if s.closed.Load() == nil {
		refused = s.refusal() // may wait, so without the lock
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.done:
	case s.closed.Load() != nil: // the next handlers have not returned yet
		s.interrupt()
		s.timer.Reset(streamInterval)
	case refused == nil:
		s.timer.Reset(s.untilCheck())
	default:
		s.close(refused)
		s.timer.Reset(streamInterval)
	}
}

// refusal returns the refusal that a new request with the token would get because of its exp or a revocation, nil if it
// would get none.
func (s *stream) refusal() *Refusal {
	if !time.Now().Before(s.until) {
		return invalidToken(&token.Error{Reason: token.Expired, Detail: "exp has passed"})
	}
	revoked, err := s.door.trusted(s.claims.Issuer).RevokedSince(s.ctx, s.claims, s.kid)
	if err != nil && s.ctx.Err() != nil {
		return nil // the client has gone, and the next handlers are about to return
	}
	return revocationRefusal(revoked, err)
}

// close ends the stream in both directions. The context comes before the deadlines: reverse_proxy sends on what it has
// buffered of a body that breaks off, unless the context has ended.
func (s *stream) close(refused *Refusal) {
	s.closed.Store(refused)
	s.cancel()
	s.interrupt()
}

// interrupt ends calls that ignore the context: reads from a client that sends nothing, and writes to one that reads
// nothing. It sets the write deadline of net/http's own ResponseWriter, because that of Caddy's around it must not be
// set while the next handlers write. A write that had begun may set another deadline, so interrupt is called again until
// the next handlers return.
func (s *stream) interrupt() {
	past := time.Unix(1, 0)
	_ = http.NewResponseController(s.ResponseWriter).SetReadDeadline(past)
	if s.started {
		_ = http.NewResponseController(innermost(s.ResponseWriter)).SetWriteDeadline(past)
	}
}

// innermost returns the ResponseWriter that all others wrap.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}

// end stops the timer and returns why the stream was closed, nil if it was not. Nothing uses the ResponseWriter after
// that.
func (s *stream) end() *Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	s.timer.Stop()
	s.cancel()
	return s.closed.Load()
}

// finish ends the stream. If it was not closed, finish returns the error of the next handlers. If it was closed before
// the response began, finish answers as to a new request. If it was closed later, finish panics with
// http.ErrAbortHandler: net/http then closes the connection, or resets the stream of HTTP/2 or HTTP/3, so that the
// client does not take a part of the response for the whole.
func (s *stream) finish(r *http.Request, err error) error {
	refused := s.end()
	switch {
	case refused == nil || s.hijacked:
		return err
	case s.started:
		panic(http.ErrAbortHandler)
	}
	if r.ProtoMajor == 1 {
		s.Header().Set("Connection", "close") // its deadline has passed
	}
	if s.claims.Confirmation().JKT != "" {
		refused.Schemes, refused.ProofAlgs = []string{oauth.SchemeDPoP}, token.ProofAlgs()
	}
	return s.door.challenge(s.ResponseWriter, r, refused)
}

// report tells the access log and the metrics why the stream was closed, if it was.
func (s *stream) report(r *http.Request) {
	refused := s.end()
	if refused == nil {
		return
	}
	reason := refused.Reason
	if reason == reasonNoRevocations {
		reason = streamUnknown
	}
	d := s.door
	d.Host.AddLogFields(r, zap.String("m2m_closed", reason))
	cmp.Or(d.Host.Metrics(s.claims.Issuer), d.metricsOf(s.claims.Issuer)).StreamClosed(reason)
	d.Logger.Debug("request closed before its end", zap.String("reason", reason),
		zap.String("issuer", s.claims.Issuer), zap.String("m2m_jti", s.claims.ID), zap.Error(refused.cause))
}
