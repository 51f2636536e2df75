package clientkeys

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// maxFetches is how many fetches are in progress at a time, and maxFetchesOfHost how many of them from one host.
	maxFetches       = 256
	maxFetchesOfHost = 8
)

// slots bound the fetches that are in progress. A fetch waits for a slot of its host first, so that those which wait for a host
// that hangs take no slots from others.
type slots struct {
	all chan struct{}

	mu    sync.Mutex
	hosts map[string]*host
}

// host is a host from which something is fetched, or waits to be.
type host struct {
	slots chan struct{}
	users int
}

func newSlots() *slots {
	return &slots{all: make(chan struct{}, maxFetches), hosts: make(map[string]*host)}
}

// enter waits for a slot, and returns what frees it.
func (s *slots) enter(ctx context.Context, name string) (leave func(), _ error) {
	h := s.hold(name)
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		s.release(name, h)
		return nil, ctx.Err()
	}
	select {
	case s.all <- struct{}{}:
	case <-ctx.Done():
		<-h.slots
		s.release(name, h)
		return nil, ctx.Err()
	}
	return sync.OnceFunc(func() {
		<-s.all
		<-h.slots
		s.release(name, h)
	}), nil
}

func (s *slots) hold(name string) *host {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hosts[name]
	if h == nil {
		h = &host{slots: make(chan struct{}, maxFetchesOfHost)}
		s.hosts[name] = h
	}
	h.users++
	return h
}

func (s *slots) release(name string, h *host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.users--; h.users == 0 {
		delete(s.hosts, name)
	}
}

// transport connects to allowed addresses only, without a proxy, which would choose the address. It keeps no connections open.
type transport struct {
	slots *slots
	base  *http.Transport
}

func (s *slots) transport(allowed Allowed) transport {
	dialer := net.Dialer{Timeout: 5 * time.Second, Control: allowed.control}
	base := &http.Transport{
		DialContext: dialer.DialContext, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 5 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
	return transport{s, base}
}

// OnTransport implements fetch.Layer: names below localhost are checked as all others are.
func (transport) OnTransport() {}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	leave, err := t.slots.enter(r.Context(), r.URL.Host)
	if err != nil {
		return nil, err
	}
	response, err := t.base.RoundTrip(r)
	if err != nil {
		leave()
		return nil, err
	}
	response.Body = body{response.Body, leave}
	return response, nil
}

// body frees the slot of a response that is closed.
type body struct {
	io.ReadCloser
	leave func()
}

func (b body) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}
