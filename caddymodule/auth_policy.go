package caddymodule

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/reload"
	"github.com/caddy-m2m/caddy-m2m/policy"
)

// RequestPolicy decides, in Rego, on requests whose token covers what the route requires. The rules of package m2m.request
// can refuse a request, require further scopes, and set headers for the upstream.
type RequestPolicy struct {
	// PolicySource says where the Rego is. Default: the policy of the handler's issuer, which must be its only one and an
	// issuer of the app.
	PolicySource

	// InputHeaders are the request headers that the policy reads, under their names in lower case. Of the spellings of such a
	// header only X-Name reaches the upstream. A header that carries credentials, such as Authorization, Cookie or
	// X-Api-Key, is an error, because the decision log contains the input of a policy. Default: none.
	InputHeaders []string `json:"input_headers,omitempty"`

	// UpstreamHeaders are the headers that the policy may set on the request to the upstream. Fields that the client sent under
	// these names, in any spelling, are removed. If the policy sets another header, the request is answered with 503.
	// Default: none.
	UpstreamHeaders []string `json:"upstream_headers,omitempty"`

	// Observe decides and logs, but passes each request as if there were no policy. It is for trying a policy on real requests.
	// Default: false.
	Observe bool `json:"observe,omitempty"`

	engine *policy.Engine
	own    bool // the engine is the handler's, not an issuer's
}

// provision finds or compiles the policy.
func (p *RequestPolicy) provision(h *AuthHandler, storage certmagic.Storage, log *zap.Logger) (*door.Policy, error) {
	if err := p.findEngine(h, storage); err != nil {
		return nil, err
	}
	return &door.Policy{
		Engine: p.engine, Own: p.own, InputHeaders: p.InputHeaders, UpstreamHeaders: p.UpstreamHeaders, Observe: p.Observe, Log: log,
	}, p.engine.RequireRequests()
}

func (p *RequestPolicy) findEngine(h *AuthHandler, storage certmagic.Storage) error {
	if len(p.Paths) == 0 && p.Bundle == nil {
		switch {
		case len(h.trusted) > 1:
			return errors.New("the door has several issuers, so there is no one policy of its issuer; add the policy's path, or a bundle")
		case h.trusted[0].local == nil:
			return fmt.Errorf("issuer %q is none of this process's, so its policy is not here; add the policy's path, or a bundle", credential.WithoutUserInfo(h.trusted[0].URL))
		}
		p.engine = h.trusted[0].local.Policy
		return nil
	}
	if err := replaceAll(caddy.NewReplacer(), pointers(p.Paths)...); err != nil {
		return err
	}
	var err error
	if p.engine, err = p.load(storage, path.Join("m2m", issuer.StorageName(h.trusted[0].URL), "doors", p.name()), h.logger); err != nil {
		return err
	}
	if p.own = true; p.engine.Issues() {
		h.logger.Warn("rules of packages m2m.token and m2m.identity have no effect in the policy of a door", zap.Strings("policy", p.engine.Status().Where))
	}
	return nil
}

// name tells the policies of handlers apart in storage.
func (p *RequestPolicy) name() string {
	where := strings.Join(p.Paths, " ")
	if p.Bundle != nil {
		where = p.Bundle.Location
	}
	sum := sha256.Sum256([]byte(where))
	return hex.EncodeToString(sum[:4])
}

// start watches the handler's own policy for changes until ctx is done. An issuer watches its policy itself.
func (h *AuthHandler) start(ctx caddy.Context) error {
	if h.Policy == nil || !h.Policy.own {
		return nil
	}
	h.Policy.engine.Start(ctx)
	kind := "policy of a door, " + strings.Join(h.Policy.engine.Status().Where, " ")
	h.metrics.SetHealthy(kind, h.Policy.engine.Healthy())
	h.metrics.CollectDecisions(func() policy.CacheStatus { return h.Policy.engine.Cache().Only(policy.RequestKind) })
	logger := h.logger.With(zap.String("issuer", h.onlyIssuer()))
	w := &reload.Watcher{Emit: emitterOf(ctx), Logger: logger, Metrics: h.metrics.Reloads, Issuer: h.onlyIssuer(), Kind: kind, Source: h.Policy.engine}
	go poll.Every(ctx, reload.Interval, w.Look)
	return nil
}
