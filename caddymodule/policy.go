package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
)

// load compiles the policy, unless its bundle is one that is still to be downloaded. What a bundle leaves in storage is
// below prefix.
func (p *PolicySource) load(storage certmagic.Storage, prefix string, logger *zap.Logger) (*policy.Engine, error) {
	timeout := time.Duration(p.Timeout)
	if timeout != 0 && (timeout < minPolicyTimeout || timeout > maxPolicyTimeout) {
		return nil, fmt.Errorf("policy timeout is %s; it is at least %s and at most %s", timeout, minPolicyTimeout, maxPolicyTimeout)
	}
	config := policy.Config{Paths: p.Paths, NoDefaults: p.DefaultsOff, Timeout: timeout, Verify: p.Verify}
	if p.Bundle != nil {
		if len(p.Paths) > 0 {
			return nil, errPathsAndBundle
		}
		var err error
		if config.Bundle, err = p.Bundle.resolved(); err != nil {
			return nil, fmt.Errorf("bundle: %w", err)
		}
		config.Bundle.Store = &bundleStore{storage: storage, key: path.Join(prefix, "policy", "bundle")}
		config.Bundle.OnFault = func(doing string, err error) { logger.Error(doing+" failed", zap.Error(err)) }
	}
	return policy.Load(config)
}

var errPathsAndBundle = errors.New("a policy is of paths or a bundle, not of both")

// bundleStore keeps a bundle in Caddy's storage.
type bundleStore struct {
	storage certmagic.Storage
	key     string
}

func (s *bundleStore) Load(ctx context.Context) ([]byte, error) { return s.storage.Load(ctx, s.key) }

func (s *bundleStore) Store(ctx context.Context, object []byte) error {
	return s.storage.Store(ctx, s.key, object)
}

var _ bundle.Store = (*bundleStore)(nil)
