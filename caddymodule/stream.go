package caddymodule

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

// streamInterval is how often the door checks whether the token of a request that is still being served holds.
const streamInterval = time.Second

// streamUnknown is the reason for closing a stream when the door cannot tell whether its token was revoked. The other
// reasons are those of the refusal that a new request would get.
const streamUnknown = "unknown"

// stream is a request that was let through, while the next handlers serve it: a WebSocket, server-sent events, an
// upload, a download, or a short request. It is their ResponseWriter. One timer checks the token, so that the stream
// ends when a new request with the token would be refused.
type stream struct {
	caddyhttp.ResponseWriterWrapper
	door   *AuthHandler
	claims *token.Claims
	kid    string
	until  time.Time // exp and the leeway
	ctx    context.Context
	cancel context.CancelFunc
	closed atomic.Pointer[refusal] // why the stream was closed; written under mu
	body   streamBody

	mu       sync.Mutex
	timer    *time.Timer
	done     bool // the next handlers have returned
	started  bool // the response has begun; written only by the next handlers
	hijacked bool
}

// pass has the next handlers serve a request that was let through, for as long as its token holds.
func (h *AuthHandler) pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, claims *token.Claims, kid string) error {
	if h.KeepStreams {
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &requestBody{r.Body, r.ProtoMajor}
		}
		return next.ServeHTTP(w, r)
	}
	s := h.watch(w, r, claims, kid)
	defer s.report(r) // also when a handler panics, as reverse_proxy does when a response breaks off
	err := next.ServeHTTP(s, s.request(r))
	return s.settle(r, err)
}

// watch arms the timer of a stream. The caller must call end.
func (h *AuthHandler) watch(w http.ResponseWriter, r *http.Request, claims *token.Claims, kid string) *stream {
	leeway, _ := h.leeway() // Provision has checked it
	s := &stream{door: h, claims: claims, kid: kid, until: claims.Expires.Add(leeway)}
	s.ResponseWriter = w
	// The context has no cause: net/http's Transport would return it in place of context.Canceled, and reverse_proxy
	// would count a failure of the upstream.
	s.ctx, s.cancel = context.WithCancel(r.Context())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(s.wait(), s.check)
	return s
}

// request returns r for the next handlers.
func (s *stream) request(r *http.Request) *http.Request {
	r = r.WithContext(s.ctx)
	if r.Body != nil && r.Body != http.NoBody {
		s.body = streamBody{requestBody{r.Body, r.ProtoMajor}, s}
		r.Body = &s.body
	}
	return r
}

// requestBody is the body of a request that was let through. In HTTP/1.1 the next handlers do not close it: net/http
// does so itself after them. reverse_proxy closes a body when the upstream answers early or the client is too slow.
// net/http then keeps the connection, because Caddy has put a body of its own in the place of the one that net/http
// looks at. It would take what is left of the body for the next requests (RFC 9112 §11.2), which nothing in front of
// Caddy has seen as requests. A body that is still open is read to its end, or its connection is closed.
type requestBody struct {
	io.ReadCloser
	protoMajor int
}

// Close closes the body of a request of HTTP/2 or HTTP/3, where it ends the stream alone.
func (b *requestBody) Close() error {
	if b.protoMajor == 1 {
		return nil
	}
	return b.ReadCloser.Close()
}

// streamBody is the body of a stream's request. Once the stream is closed, reads return no data and the error of the
// context. With another error reverse_proxy could count a failure of the upstream.
type streamBody struct {
	requestBody
	stream *stream
}

func (b *streamBody) Read(p []byte) (int, error) {
	if b.stream.closed.Load() != nil {
		return 0, context.Canceled
	}
	n, err := b.ReadCloser.Read(p)
	if b.stream.closed.Load() != nil {
		return 0, context.Canceled
	}
	return n, err
}

// wait returns the time until the next check.
func (s *stream) wait() time.Duration { return min(streamInterval, max(time.Until(s.until), 0)) }

// check closes the stream if its token no longer holds.
func (s *stream) check() {
	var refused *refusal
	if s.closed.Load() == nil {
		refused = s.refusal() // may wait, so without the lock
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.done:
	case s.closed.Load() != nil: // the next handlers have not returned yet
		s.cut()
		s.timer.Reset(streamInterval)
	case refused == nil:
		s.timer.Reset(s.wait())
	default:
		s.close(refused)
		s.timer.Reset(streamInterval)
	}
}

// refusal returns the refusal that a new request with the token would get because of its exp or a revocation, nil if it
// would get none.
func (s *stream) refusal() *refusal {
	if !time.Now().Before(s.until) {
		return invalidToken(&token.Error{Reason: token.Expired, Detail: "exp has passed"})
	}
	revoked, err := s.door.trust(s.claims.Issuer).keys.RevokedSince(s.ctx, s.claims, s.kid)
	if err != nil && s.ctx.Err() != nil {
		return nil // the client has gone, and the next handlers are about to return
	}
	return revocationRefusal(revoked, err)
}

// close ends the stream in both directions. The context comes before the deadlines: reverse_proxy sends on what it has
// buffered of a body that breaks off, unless the context has ended.
func (s *stream) close(refused *refusal) {
	s.closed.Store(refused)
	s.cancel()
	s.cut()
}

// cut ends what does not heed the context: reading from a client that sends nothing and writing to one that reads
// nothing. It sets the write deadline of net/http's own ResponseWriter, because that of Caddy's around it must not be
// set while the next handlers write. A write that had begun may set another deadline, so cut is called again until the
// next handlers return.
func (s *stream) cut() {
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

// end stops the timer and returns why the stream was closed, nil if it was not. Nothing touches the ResponseWriter
// after that.
func (s *stream) end() *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	s.timer.Stop()
	s.cancel()
	return s.closed.Load()
}

// settle ends the stream, and returns the error of the next handlers if it was not closed. If it was closed before the
// response began, settle answers as to a new request. If it was closed later, settle panics with http.ErrAbortHandler:
// net/http then closes the connection, or resets the stream of HTTP/2 or HTTP/3, so that the client does not take a
// part of the response for the whole.
func (s *stream) settle(r *http.Request, err error) error {
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
	return s.door.answer(s.ResponseWriter, r, refused)
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
	addLogFields(r, zap.String("m2m_closed", reason))
	s.door.currentMetrics(s.claims.Issuer).StreamClosed(reason)
	s.door.logger.Debug("request closed before its end", zap.String("reason", reason),
		zap.String("issuer", s.claims.Issuer), zap.String("m2m_jti", s.claims.ID), zap.Error(refused.cause))
}

// currentMetrics returns the metrics of the config that runs now. A stream may outlive the config that let it
// through, whose metrics are no longer served.
func (h *AuthHandler) currentMetrics(issuer string) *metrics.Door {
	module, err := caddy.ActiveContext().AppIfConfigured("m2m")
	if err != nil {
		return h.metricsOf(issuer)
	}
	return module.(*App).metrics.Door(issuer)
}
