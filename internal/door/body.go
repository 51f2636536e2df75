package door

import (
	"context"
	"io"
	"net/http"
)

// requestBody is the body of a request that was let through. In HTTP/1.1 the next handlers do not close it: net/http
// does so after them. reverse_proxy closes a body when the upstream answers early or the client is too slow. net/http
// then keeps the connection, because Caddy has replaced the body that net/http looks at. It would take the rest of the
// body for the next requests (RFC 9112 §11.2), which nothing in front of Caddy has seen as requests. A body that is
// still open is read to its end, or its connection is closed.
type requestBody struct {
	io.ReadCloser
	protoMajor int
}

// hasBody reports whether a request has a body to wrap.
func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// Close closes the body of a request of HTTP/2 or HTTP/3, where it ends only the stream.
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
