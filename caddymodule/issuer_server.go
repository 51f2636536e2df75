package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-m2m/caddy-m2m/internal/audit"
	"github.com/caddy-m2m/caddy-m2m/internal/httphost"
	"github.com/caddy-m2m/caddy-m2m/internal/keyring"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/oauth"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/file"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/storage"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// issuerServer is one running authorization server.
type issuerServer struct {
	URL          string
	Audience     string
	SigningAlg   string
	TokenTTL     time.Duration
	RegistryPath string // of the registry file, "" if the registry is in storage

	logger    *zap.Logger
	decisions *zap.Logger
	metrics   *metrics.Issuer
	storage   *storage.Storage
	emit      emitter
	host      httphost.Host
	audit     audit.Trail
	registry  issuerRegistry
	store     *store.Store // the registry, where it can be changed; else nil
	file      *file.File   // the registry, where it is a file; else nil
	usage     *store.Usage
	policy    *policy.Engine
	keys      *keyring.Ring
	documents documents
	crowd     atomic.Int64 // the time of the last warning about too many strangers

	revocations *revocation.Store
	// revokedShares bound what clients revoke, and revoking is what they revoke now.
	revokedShares revokedShares
	revoking      singleflight.Group
	feed          *feed
}

// issuerRegistry is a registry that may change while the issuer runs.
type issuerRegistry interface {
	registry.Registry
	watched
	// Problem says why the registry is not healthy, "" if it is.
	Problem() string
	// Age is how long ago the registry was last seen to equal what is stored.
	Age() time.Duration
}

// storagePath returns the folder of the issuer in Caddy's storage.
func (i *issuerServer) storagePath() string { return path.Join("m2m", storageName(i.URL)) }

func (i *issuerServer) routes() map[string]http.HandlerFunc {
	base, _ := url.Parse(i.URL) // CheckIssuer has parsed it
	oidcPath, oauthPath := oauth.WellKnownPaths(i.URL)
	return map[string]http.HandlerFunc{
		base.Path + oauth.TokenPath:       i.serveToken,
		base.Path + oauth.JWKSPath:        i.serveJWKS,
		base.Path + oauth.IntrospectPath:  i.serveReference(i.metrics.Introspection, (*tokenReference).introspect),
		base.Path + oauth.RevokePath:      i.serveReference(i.metrics.Revocation, (*tokenReference).revoke),
		base.Path + oauth.RevocationsPath: i.feed.serve,
		base.Path + oauth.AuthorizePath:   i.serveAuthorize,
		oidcPath:                          i.serveMetadata(func(d *metadataDocuments) http.Handler { return d.openID }),
		oauthPath:                         i.serveMetadata(func(d *metadataDocuments) http.Handler { return d.oauth }),
	}
}

func (i *issuerServer) serveJWKS(w http.ResponseWriter, r *http.Request) {
	keys, err := i.keys.Current(r.Context())
	if err != nil {
		i.logger.Debug("no keys to publish", zap.Error(err))
		oauth.Unavailable("the keys cannot be had now").Write(w)
		return
	}
	keys.JWKS.ServeHTTP(w, r)
}

// serveAuthorize is truthful about the authorization_endpoint that OpenID Connect Discovery §3
// makes every provider name: nobody can be sent there, for no response type is supported.
func (i *issuerServer) serveAuthorize(w http.ResponseWriter, _ *http.Request) {
	oauth.UnsupportedResponseType().Write(w)
}

// close releases what the server holds, also if it was never started.
func (i *issuerServer) close() {
	i.leavePeers()
	if i.policy != nil {
		i.policy.Close()
	}
}

// storageName returns a readable name that no other issuer has: Safe drops characters that tell URLs apart, so the name
// ends in a hash of the URL.
func storageName(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	_, rest, _ := strings.Cut(issuer, "://")
	return certmagic.StorageKeys.Safe(strings.ReplaceAll(rest, "/", "_")) + "-" + hex.EncodeToString(sum[:4])
}
