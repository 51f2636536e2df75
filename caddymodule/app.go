// Package caddymodule connects the plugin to Caddy. It has the config of the m2m app and of the handlers m2m_issuer,
// m2m_auth and m2m_ready, their Caddyfile grammar, and what Caddy calls: modules, commands and admin routes. Requests
// are served by packages issuer, door and admin. Start with App. Only this package imports Caddy, and it may import
// every other package of the plugin.
package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/door"
	"github.com/caddy-m2m/caddy-m2m/internal/dpop"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
	"github.com/caddy-m2m/caddy-m2m/internal/metrics"
	"github.com/caddy-m2m/caddy-m2m/internal/poll"
	"github.com/caddy-m2m/caddy-m2m/internal/remote"
	"github.com/caddy-m2m/caddy-m2m/internal/storage"
)

func init() {
	caddy.RegisterModule(new(App))
	caddy.RegisterModule(new(IssuerHandler))
	caddy.RegisterModule(new(AuthHandler))
	caddy.RegisterModule(new(ReadyHandler))
	caddy.RegisterModule(new(ResourceMetadataHandler))
}

// storages holds the state of each storage that all configs of the process share, so that a reload loses no locks and limits.
var storages = caddy.NewUsagePool()

// App is the m2m app. It holds the issuers of this process: their keys, registries and policies.
// The handlers m2m_issuer and m2m_auth refer to an issuer by its URL.
type App struct {
	// Issuers are the authorization servers of this process. Default: none. The handler m2m_auth can also accept tokens
	// of remote issuers.
	Issuers []*Issuer `json:"issuers,omitempty"`

	// TokenCache is the memory, in bytes, for the tokens of one issuer, of this process or remote. All handlers m2m_auth that
	// accept the issuer's tokens share it. It holds tokens that were verified and, in up to a quarter of it, tokens that
	// this process has issued, so that their signatures need not be checked. It survives a reload of the config, unless
	// TokenCache changes. At least 1 MiB, at most 1 GiB. Default: 32 MiB.
	TokenCache int64 `json:"token_cache,omitempty"`

	ctx     caddy.Context
	logger  *zap.Logger
	metrics *metrics.Set
	storage *storage.Storage
	remotes map[string]*remote.Issuer
	// memories are those of the issuers whose tokens a door takes, by the issuer's URL.
	memories map[string]*tokenMemory
	doors    []*AuthHandler // of this config
	nonces   []*dpop.Nonces // of this config
	// keepKeys is set if the keys of remote issuers are fetched before a token needs them.
	keepKeys bool
}

// CaddyModule returns the ID and the constructor of the app.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "m2m", New: func() caddy.Module { return new(App) }}
}

// Provision reads every registry file and compiles every policy. It fails on the first that is broken. It uses no storage
// and creates no keys; Start does.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger = ctx, logmask.Logger(ctx.Logger())
	a.remotes, a.memories = make(map[string]*remote.Issuer), make(map[string]*tokenMemory)
	if err := checkTokenCache(cmp.Or(a.TokenCache, defaultTokenCache)); err != nil {
		return err
	}
	a.storage = storage.Open(storages, ctx.Storage(), ctx.Done(), a.logger)
	var err error
	if a.metrics, err = metrics.New(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	if _, err := ctx.App("events"); err != nil {
		return fmt.Errorf("getting the events app: %w", err)
	}
	seen := make(map[string]bool)
	for i, issuer := range a.Issuers {
		if issuer == nil {
			return fmt.Errorf("issuer %d is null", i)
		}
		if err := issuer.provision(ctx, a); err != nil {
			return ofIssuer(issuer.URL, err)
		}
		if seen[issuer.URL] {
			return fmt.Errorf("issuer %q is configured twice", issuer.URL)
		}
		seen[issuer.URL] = true
	}
	return nil
}

// ofIssuer says which issuer an error is about, which may begin with that word itself.
func ofIssuer(url string, err error) error {
	text, found := strings.CutPrefix(err.Error(), "issuer ")
	if found {
		err = errors.New(text)
	}
	return fmt.Errorf("issuer %q: %w", credential.WithoutUserInfo(url), err)
}

// Start loads the signing keys of each issuer, creates the first key if there is none, and begins to watch registries and
// policies. It fails if keys can neither be loaded nor created.
func (a *App) Start() error {
	a.takeCertificates()
	for _, issuer := range a.Issuers {
		if _, err := issuer.server.Keys.Current(a.ctx); err != nil {
			return fmt.Errorf("issuer %q: %w", issuer.URL, err)
		}
		if err := issuer.server.Start(a.ctx); err != nil {
			return fmt.Errorf("issuer %q: %w", issuer.URL, err)
		}
	}
	for _, door := range a.doors {
		if err := door.start(a.ctx); err != nil {
			return err
		}
	}
	a.shareNonces()
	a.maintainRemotes()
	a.lint()
	a.waitForNetwork()
	return nil
}

// networkWait is how long a config waits before it takes over from another. A busy runtime polls the network every 10 ms.
const networkWait = 20 * time.Millisecond

// waitForNetwork lets the server read requests that came while policies were compiled, which keeps all processors busy.
// When Start returns, the former config closes connections on which it has seen no request, also those on which one
// waits. Without the wait a reload under load loses a third more requests, and TestReloadUnderLoad fails now and then.
func (a *App) waitForNetwork() {
	_, err := caddy.ActiveContext().AppIfConfigured("m2m")
	replaces := err == nil
	compiled := len(a.Issuers) > 0 || slices.ContainsFunc(a.doors, func(h *AuthHandler) bool { return h.Policy != nil })
	if replaces && compiled {
		time.Sleep(networkWait)
	}
}

// Stop stores when secrets were last used, and releases locks. Everything else that Start began ends with the app's context.
func (a *App) Stop() error {
	for _, issuer := range a.Issuers {
		issuer.server.Stop(a.ctx)
	}
	return nil
}

// Cleanup releases what Provision acquired, also if Provision failed.
func (a *App) Cleanup() error {
	if a.validated() {
		a.lint()
	}
	for _, issuer := range a.Issuers {
		if issuer != nil && issuer.server != nil {
			issuer.server.Close()
		}
	}
	if a.storage != nil {
		a.storage.Close()
	}
	for _, issuer := range a.remotes {
		if _, err := remoteIssuers.Delete(issuer.Key()); err != nil {
			return err
		}
	}
	return a.releaseTokenMemories()
}

// servers returns the issuers of this process.
func (a *App) servers() []*issuer.Server {
	servers := make([]*issuer.Server, len(a.Issuers))
	for n, issuer := range a.Issuers {
		servers[n] = issuer.server
	}
	return servers
}

// runtimeDoors returns the doors of the config.
func (a *App) runtimeDoors() []*door.Door {
	doors := make([]*door.Door, len(a.doors))
	for n, h := range a.doors {
		doors[n] = h.door
	}
	return doors
}

// issuer finds an issuer of this process by its URL; the empty URL stands for the only one.
func (a *App) issuer(url string) (*Issuer, error) {
	if url == "" {
		return a.onlyIssuer()
	}
	for _, issuer := range a.Issuers {
		if issuer.URL == url {
			return issuer, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", errNoSuchIssuer, credential.WithoutUserInfo(url))
}

var errNoSuchIssuer = errors.New("the m2m app has no such issuer")

func (a *App) onlyIssuer() (*Issuer, error) {
	switch len(a.Issuers) {
	case 0:
		return nil, errors.New("the m2m app has no issuer; configure one in the global options, as in `m2m { issuer https://auth.example.com { … } }`")
	case 1:
		return a.Issuers[0], nil
	}
	return nil, fmt.Errorf("the m2m app has %d issuers; say which one is meant", len(a.Issuers))
}

// remoteIssuers are shared by all configs of the process, so that a reload while an issuer is down does not lose its keys.
var remoteIssuers = caddy.NewUsagePool()

// remoteIssuer returns the remote issuer of settings. It fails if the config has the same issuer with other settings. It is
// called during provisioning only, which Caddy does one module after the other.
func (a *App) remoteIssuer(settings remote.Settings) (*remote.Issuer, error) {
	key := settings.Key()
	if issuer, ok := a.remotes[settings.Issuer]; ok {
		if issuer.Key() != key {
			return nil, fmt.Errorf("issuer %q is reached in another way elsewhere in the config; all that accept its tokens share its keys, so each must name the same %s", settings.Issuer, reachOptions)
		}
		return issuer, nil
	}
	pooled, _, err := remoteIssuers.LoadOrNew(key, func() (caddy.Destructor, error) {
		return remote.New(settings, nil, currentLogger), nil
	})
	if err != nil {
		return nil, err
	}
	issuer := pooled.(*remote.Issuer)
	a.remotes[settings.Issuer] = issuer
	return issuer, nil
}

// currentLogger returns the plugin's logger in the current config.
func currentLogger() *zap.Logger { return logmask.Logger(caddy.Log()).Named("m2m") }

// appOf finds the m2m app for a handler that is being provisioned.
func appOf(ctx caddy.Context) (*App, error) {
	app, err := ctx.App("m2m")
	if err != nil {
		return nil, fmt.Errorf("getting the m2m app: %w", err)
	}
	return app.(*App), nil
}

var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)

// remoteInterval is how often remote issuers are maintained. Most of the time that sends no request.
const remoteInterval = time.Second

// maintainRemotes maintains the remote issuers and sets their metrics, until the app's context ends.
func (a *App) maintainRemotes() {
	if len(a.remotes) == 0 {
		return
	}
	a.maintainRemotesOnce()
	go poll.Every(a.ctx, remoteInterval, a.maintainRemotesOnce)
}

func (a *App) maintainRemotesOnce() {
	for url, issuer := range a.remotes {
		issuer.Maintain(a.keepKeys, a.requiresFeed(url))
		status := issuer.Status()
		a.metrics.RemoteKeys(url, status.Keys.Problem == "", status.Keys.AsOf)
		if r := status.Revocations; r != nil {
			a.metrics.RemoteRevocations(url, r.Problem == "", r.AsOf)
		}
	}
}

// requiresFeed reports whether a door accepts no tokens of an issuer that does not publish its revocations.
func (a *App) requiresFeed(url string) bool {
	return slices.ContainsFunc(a.doors, func(door *AuthHandler) bool {
		return slices.ContainsFunc(door.trusted, func(t *TrustedIssuer) bool {
			return t.remote != nil && t.URL == url && t.remote.FeedRequired()
		})
	})
}
