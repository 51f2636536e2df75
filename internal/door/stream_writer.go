package door

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
)

// statusClientGone is the status that reverse_proxy writes when the context of a request ends, also if the door has
// ended it.
const statusClientGone = 499

var errStreamClosed = errors.New("the token of the request no longer holds")

// WriteHeader begins the response, unless the stream was closed before.
func (s *stream) WriteHeader(status int) {
	if s.begin(status) {
		s.ResponseWriter.WriteHeader(status)
	}
}

// begin notes that the response begins, and reports whether it may. Once the stream is closed no header is sent. It
// still counts as a beginning, because the handler may have set header fields that the answer to a closed stream must not have.
func (s *stream) begin(status int) bool {
	if status < http.StatusOK && status != http.StatusSwitchingProtocols { // informational (RFC 9110 §15.2)
		return s.closed.Load() == nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	closed := s.closed.Load() != nil
	s.started = s.started || !closed || status != statusClientGone
	return !closed
}

// proceed returns an error if no more of the response may be sent.
func (s *stream) proceed() error {
	if !s.started {
		s.WriteHeader(http.StatusOK)
	}
	if s.closed.Load() != nil {
		return errStreamClosed
	}
	return nil
}

// Write writes a part of the response. It fails once the stream is closed.
func (s *stream) Write(data []byte) (int, error) {
	if err := s.proceed(); err != nil {
		return 0, err
	}
	return s.ResponseWriter.Write(data)
}

// ReadFrom keeps sendfile for files.
func (s *stream) ReadFrom(r io.Reader) (int64, error) {
	if err := s.proceed(); err != nil {
		return 0, err
	}
	if direct, ok := s.ResponseWriter.(io.ReaderFrom); ok {
		return direct.ReadFrom(r)
	}
	return io.Copy(s.ResponseWriter, r)
}

// Push implements http.Pusher.
func (s *stream) Push(target string, opts *http.PushOptions) error {
	if pusher, ok := s.ResponseWriter.(http.Pusher); ok {
		return pusher.Push(target, opts)
	}
	return http.ErrNotSupported
}

// Unwrap is for http.ResponseController.
func (s *stream) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// FlushError is for http.ResponseController.
func (s *stream) FlushError() error {
	if err := s.proceed(); err != nil {
		return err
	}
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Hijack is for http.ResponseController.
func (s *stream) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() != nil {
		return nil, nil, errStreamClosed
	}
	conn, buffered, err := http.NewResponseController(s.ResponseWriter).Hijack()
	if err == nil {
		s.started, s.hijacked = true, true
	}
	return conn, buffered, err
}

var (
	_ http.Hijacker = (*stream)(nil)
	_ http.Pusher   = (*stream)(nil)
	_ io.ReaderFrom = (*stream)(nil)
)
