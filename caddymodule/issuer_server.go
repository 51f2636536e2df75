package caddymodule

import (
	"context"
	"path"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/revocation"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
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
	storage   doubtedStorage
	emit      func(name string, data map[string]any)
	registry  issuerRegistry
	store     *registry.Store // the registry, where it can be changed; else nil
	file      *registry.File  // the registry, where it is a file; else nil
	usage     *registry.Usage
	policy    *policy.Engine
	keys      *keyring
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

// keySet returns the public keys of the issuer, with that of kid if the storage has one.
func (i *issuerServer) keySet(ctx context.Context, kid string) (*token.KeySet, error) {
	return i.keys.keySet(ctx, kid)
}

func (i *issuerServer) scopesRevision() string { return i.registry.Revision() }

// close releases what the server holds, also if it was never started.
func (i *issuerServer) close() {
	i.leavePeers()
	if i.policy != nil {
		i.policy.Close()
	}
}
