package clientkeys

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

func newKeySet(t *testing.T) *token.KeySet {
	t.Helper()
	key, err := token.GenerateKey(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return token.NewKeySet(key)
}

func newCache(t *testing.T) *Cache {
	c := New()
	t.Cleanup(c.Close)
	return c
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

var local = Allowed{Loopback: true}

func TestKeySet(t *testing.T) {
	keys, fetches := newKeySet(t), atomic.Int32{}
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		_, _ = w.Write(keys.JWKS())
	})
	c := newCache(t)
	for range 3 {
		got, err := c.KeySet(t.Context(), url, local, "")
		if err != nil || string(got.JWKS()) != string(keys.JWKS()) {
			t.Fatalf("got %v", err)
		}
	}
	for range 20 { // a stranger makes up key IDs
		if _, err := c.KeySet(t.Context(), url, local, "made-up"); err != nil {
			t.Fatal(err)
		}
	}
	if fetches.Load() != 2 {
		t.Errorf("%d fetches", fetches.Load())
	}
}

// TestThumbprints: a client that has only the key names it by its thumbprint.
func TestThumbprints(t *testing.T) {
	key, err := token.GenerateKey(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.ReplaceAll(string(token.NewKeySet(key).JWKS()), key.ID(), "2026-11")))
	})
	got, err := newCache(t).KeySet(t.Context(), url, local, "")
	if err != nil || !got.Has("2026-11") || !got.Has(key.ID()) {
		t.Errorf("the keys are %s, %v", got.JWKS(), err)
	}
}

func TestKeySetRefuses(t *testing.T) {
	jwks := newKeySet(t).JWKS()
	good := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(jwks) }
	inside := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("an inner server is asked") })
	elsewhere := serve(t, good)
	_, port, _ := strings.Cut(strings.TrimPrefix(inside, "http://"), ":")
	for name, test := range map[string]struct {
		url     string
		allowed Allowed
		problem string
	}{
		"loopback":          {inside, Allowed{}, "not a public address"},
		"a name on it":      {"http://localhost:" + port, Allowed{}, "not a public address"},
		"a name below":      {"http://keys.localhost:" + port, Allowed{}, ""}, // which may not resolve
		"https on it":       {"https://127.0.0.1:" + port, Allowed{}, "not a public address"},
		"the metadata":      {"https://169.254.169.254/", Allowed{}, "not a public address"},
		"that of IPv6":      {"https://[fd00:ec2::254]/", local, "not a public address"},
		"mapped":            {"https://[::ffff:10.0.0.1]/", local, "not a public address"},
		"a private address": {"https://10.0.0.1/", Allowed{Networks: networks("192.168.0.0/16")}, "not a public address"},
		"http":              {"http://keys.example/", local, "must be https"},
		"a redirect":        {serve(t, http.RedirectHandler(elsewhere, http.StatusFound).ServeHTTP), local, "redirected to another origin"},
		"inward":            {serve(t, http.RedirectHandler("http://169.254.169.254/", http.StatusFound).ServeHTTP), local, "redirected to another origin"},
		"no keys":           {serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) }), local, "no usable key"},
		"too large": {serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"x":"` + strings.Repeat("x", maxSize) + `",` + string(jwks[1:])))
		}), local, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys, err := newCache(t).KeySet(t.Context(), test.url, test.allowed, "")
			if err == nil || keys != nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("got %v, want %q", err, test.problem)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"93.184.216.34": true, "2606:2800:220:1:248:1893:25c8:1946": true, "1.1.1.1": true, "2a00:1450::1": true,
		"127.0.0.1": false, "127.9.9.9": false, "::1": false, "0.0.0.0": false, "::": false, "10.1.2.3": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.100.100.200": false, "168.63.129.16": false, "224.0.0.1": false, "255.255.255.255": false,
		"fe80::1": false, "fe80::1%eth0": false, "fd00::1": false, "ff02::1": false, "64:ff9b::a00:1": false, "::ffff:0:a00:1": false, "2002:a00:1::": false,
		"::ffff:127.0.0.1": false, "::ffff:8.8.8.8": true, "::10.0.0.1": false, "198.18.0.1": false,
	} {
		if got := (Allowed{}).takes(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	if (Allowed{}).takes(netip.Addr{}) {
		t.Error("no address is taken")
	}
	allowed := Allowed{Networks: networks("10.1.0.0/16", "fd00::/8")}
	for text, want := range map[string]bool{"10.1.2.3": true, "10.2.0.1": false, "fd00::1": true, "::1": false, "::ffff:10.1.0.1": true, "8.8.8.8": true} {
		if got := allowed.takes(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s, if some are allowed: %t", text, got)
		}
	}
}

// TestHangingHostAffectsOnlyItself: many clients with keys at a host that hangs keep others from nothing.
func TestHangingHostAffectsOnlyItself(t *testing.T) {
	hanging := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	keys := newKeySet(t)
	good := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(keys.JWKS()) })
	c := newCache(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	for i := range 2 * maxFetches {
		go func() { _, _ = c.KeySet(ctx, hanging+"/"+strings.Repeat("x", i), local, "") }()
	}
	<-ctx.Done()
	if _, err := c.KeySet(t.Context(), good, local, ""); err != nil {
		t.Error(err)
	}
	if n := len(c.slots.all); n > maxFetchesOfHost {
		t.Errorf("%d fetches are in progress", n)
	}
}
