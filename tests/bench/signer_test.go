package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(new(signer))
	httpcaddyfile.RegisterHandlerDirective("bench_sign", parseSigner)
	httpcaddyfile.RegisterDirectiveOrder("bench_sign", httpcaddyfile.Before, "respond")
}

// signer is the least that a token endpoint could be: one ES256 signature, sent as the body.
type signer struct {
	key *ecdsa.PrivateKey
}

func parseSigner(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) { return new(signer), nil }

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
