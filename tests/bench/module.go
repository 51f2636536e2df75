package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(new(signer))
	httpcaddyfile.RegisterHandlerDirective("bench_sign", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(signer), nil
	})
	httpcaddyfile.RegisterDirectiveOrder("bench_sign", httpcaddyfile.Before, "respond")
	caddy.RegisterModule(new(meter))
	httpcaddyfile.RegisterHandlerDirective("bench_usage", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(meter), nil
	})
	httpcaddyfile.RegisterDirectiveOrder("bench_usage", httpcaddyfile.Before, "respond")
}

// signer is the limit: the least that a token endpoint could do is one ES256 signature, sent as the body.
type signer struct {
	key *ecdsa.PrivateKey
}

// CaddyModule says how Caddy finds the handler.
func (*signer) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_sign", New: func() caddy.Module { return new(signer) }}
}

// Provision makes the key.
func (s *signer) Provision(caddy.Context) (err error) {
	s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return err
}

func (s *signer) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	digest := sha256.Sum256([]byte(r.URL.Path))
	signature, err := ecdsa.SignASN1(rand.Reader, s.key, digest[:])
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, base64.RawURLEncoding.EncodeToString(signature))
	return err
}

// usage is what the server process has taken so far, and what it holds.
type usage struct {
	CPU        time.Duration `json:"cpu"` // user and system time
	Mallocs    uint64        `json:"mallocs"`
	Allocated  uint64        `json:"allocated"` // bytes
	Heap       uint64        `json:"heap"`      // bytes in use
	Goroutines int           `json:"goroutines"`
}

// meter serves the usage of its process. With a query it first frees what can be freed.
type meter struct{}

// CaddyModule says how Caddy finds the handler.
func (*meter) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bench_usage", New: func() caddy.Module { return new(meter) }}
}

func (*meter) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	if r.URL.RawQuery != "" {
		runtime.GC() // what finalizers and weak pointers release takes a second collection
		debug.FreeOSMemory()
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(usage{
		CPU:     time.Duration(used.Utime.Nano() + used.Stime.Nano()),
		Mallocs: memory.Mallocs, Allocated: memory.TotalAlloc, Heap: memory.HeapAlloc, Goroutines: runtime.NumGoroutine(),
	})
}
