package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/policy"
	"github.com/caddy-m2m/caddy-m2m/policy/bundle"
)

// Bounds of PolicySource.Timeout.
const (
	minPolicyTimeout = time.Millisecond
	maxPolicyTimeout = time.Minute
)

// PolicySource says where Rego is and how it runs.
type PolicySource struct {
	// Paths are files or folders of Rego (.rego), and of data (.json, .yaml). They are read again after they change. If the
	// new version is broken, the former one stays in force. Placeholders: {env.*} and {file.*}. Default: none.
	Paths []string `json:"paths,omitempty"`

	// Bundle is an OPA bundle. Paths and Bundle exclude each other. Default: none.
	Bundle *BundleSource `json:"bundle,omitempty"`

	// DefaultsOff leaves out the shipped rules. Only the rules of Paths or Bundle then grant scopes. Default: false.
	DefaultsOff bool `json:"defaults_off,omitempty"`

	// Timeout limits one decision. A request whose decision takes longer is answered with 503. At least 1ms, at most 1m.
	// Default: 100ms.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Verify runs the Rego tests (_test.rego) in Paths before a policy comes into force, at start and after each change. A
	// test that fails is an error, and so is a policy without tests. After such an error the former policy stays in
	// force. Default: false.
	Verify bool `json:"verify,omitempty"`
}

// load compiles the policy, unless its bundle has yet to be downloaded. A downloaded bundle is stored below prefix.
func (p *PolicySource) load(storage certmagic.Storage, prefix string, logger *zap.Logger) (*policy.Engine, error) {
	timeout := time.Duration(p.Timeout)
	if err := checkBounds("policy timeout", timeout, minPolicyTimeout, maxPolicyTimeout); timeout != 0 && err != nil {
		return nil, err
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
