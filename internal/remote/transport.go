package remote

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/caddy-m2m/caddy-m2m/internal/fetch"
)

// transport sends requests to an issuer that is not reached in the usual way: with a header, with other certificates, or
// without TLS.
type transport struct {
	settings Settings
	base     http.RoundTripper // for requests that need no other; a fetch.Transport
	plain    *http.Transport   // nil if http is for loopback only

	mu     sync.Mutex
	pem    []byte          // what secure trusts
	secure *http.Transport // nil before the first request that needs it
}

// newClient returns the client for an issuer. A nil client stands for a new one.
func newClient(settings Settings, client *http.Client) *http.Client {
	if len(settings.CA) == 0 && len(settings.Header) == 0 && len(settings.HTTPNetworks) == 0 {
		return client
	}
	t := &transport{settings: settings, base: fetch.Transport(nil)}
	if client != nil {
		t.base = fetch.Transport(client.Transport)
	}
	if len(settings.HTTPNetworks) > 0 {
		t.plain = plainTransport(settings.HTTPNetworks)
	}
	return &http.Client{Transport: t}
}

// OnTransport implements fetch.Layer: the header goes to names below localhost, too, and http_network holds for them.
func (t *transport) OnTransport() {}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	via, err := t.choose(r)
	if err != nil {
		return nil, err
	}
	if len(t.settings.Header) == 0 || !slices.Contains(t.settings.NamedOrigins(), fetch.Origin(r.URL)) {
		return via.RoundTrip(r)
	}
	sent := r.Clone(r.Context())
	for name := range t.settings.Header {
		value, err := t.settings.headerValue(name)
		if err != nil {
			return nil, err
		}
		sent.Header.Set(name, value)
	}
	return via.RoundTrip(sent)
}

// CloseIdleConnections is for http.Client.
func (t *transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.secure != nil {
		t.secure.CloseIdleConnections()
	}
	if t.plain != nil {
		t.plain.CloseIdleConnections()
	}
}

func (t *transport) choose(r *http.Request) (http.RoundTripper, error) {
	switch {
	case r.URL.Scheme == "http" && t.plain != nil:
		return t.plain, nil
	case r.URL.Scheme == "https" && len(t.settings.CA) > 0:
		return t.trusting()
	}
	return t.base, nil
}

// trusting returns the transport that trusts the certificates as the files have them now.
func (t *transport) trusting() (*http.Transport, error) {
	pem, err := readCA(t.settings.CA)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.secure != nil && bytes.Equal(pem, t.pem) {
		return t.secure, nil
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	if t.secure != nil {
		t.secure.CloseIdleConnections()
	}
	t.pem, t.secure = pem, http.DefaultTransport.(*http.Transport).Clone()
	t.secure.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return t.secure, nil
}

// maxCA is the number of bytes that a file of certificates may have.
const maxCA = 1 << 20

// readCA reads files of certificates. Each must have one at least.
func readCA(paths []string) ([]byte, error) {
	var all []byte
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		pem, err := io.ReadAll(io.LimitReader(file, maxCA+1))
		if closed := file.Close(); err == nil {
			err = closed
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", path, err)
		case len(pem) > maxCA:
			return nil, fmt.Errorf("%s is larger than %d bytes", path, maxCA)
		case !x509.NewCertPool().AppendCertsFromPEM(pem):
			return nil, fmt.Errorf("%s has no certificate in PEM", path)
		}
		all = append(append(all, pem...), '\n')
	}
	return all, nil
}

// plainTransport connects to addresses of some networks only. What a name resolves to is checked, not the name. It uses no
// proxy, which would choose the address.
func plainTransport(networks []netip.Prefix) *http.Transport {
	dialer := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return errors.New("the address of the issuer is not an IP address")
		}
		ip := at.Addr().Unmap().WithZone("")
		if !slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(ip) }) {
			return fmt.Errorf("http is allowed to the networks of http_network only, and %s is not on one", ip)
		}
		return nil
	}}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, address)
	}
	return t
}
