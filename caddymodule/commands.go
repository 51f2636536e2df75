package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/admin"
	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/cli"
	"github.com/caddy-m2m/caddy-m2m/internal/issuer"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/file"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
	"github.com/caddy-m2m/caddy-m2m/internal/remote"
	"github.com/caddy-m2m/caddy-m2m/internal/token"
)

func init() {
	host := &cli.Host{
		DefaultAdmin: caddy.DefaultAdminListen,
		FindAdmin:    findAdmin,
		Exit:         exitWith,
		Explain:      explainOffline,
		Keys:         fetchKeys,
		Start:        startCaddyfile,
		Store:        runningStore,
		Stop:         caddy.Stop,
		OnExit:       func(f func()) { caddy.OnExit(func(context.Context) { f() }) },
	}
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "m2m",
		Short: "Works with machine-to-machine tokens and their issuers",
		Long: `
Administers clients, resources and grants of a running server, asks issuers for
tokens, and inspects tokens.

Secrets and tokens are never taken as arguments, which other users of a machine
can read: they come from files, from the environment or from standard input.`,
		CobraFunc: host.M2M,
	})
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "opa",
		Short: "Checks, tests and builds policies with the engine that decides",
		Long: `
OPA's own commands for the authors of policies. What the server's engine has is
there by default: its builtin functions, the schemas of its input, and the shipped
modules, data.m2m.scope among them. Commands that start servers are left out.`,
		CobraFunc: host.OPA,
	})
}

// exitWith ends a command with an exit code above 1, which Caddy lets only its own commands choose. It takes 1 without
// an error for a success.
func exitWith(cmd *cobra.Command, code int) error {
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
}

// findAdmin finds the admin endpoint as `caddy reload` does.
func findAdmin(address, config, adapter string) (cli.Endpoint, error) {
	// What the adapter logs about the config is shown only if the config cannot be read.
	_, logger, buffered := caddy.BufferedLog()
	defer caddy.UnbufferDefaultLogger(logger)
	var loaded []byte
	if address == "" && config != "" {
		var err error
		if loaded, _, _, err = caddycmd.LoadConfig(config, adapter); err != nil {
			return cli.Endpoint{}, fmt.Errorf("finding the admin endpoint: %w", err)
		}
		if isAdminOff(loaded) {
			return cli.Endpoint{}, api.Invalid("%s turns the admin endpoint off (admin off): without it no command can reach the server", config)
		}
	}
	address, err := caddycmd.DetermineAdminAPIAddress(address, loaded, config, adapter)
	if err != nil {
		return cli.Endpoint{}, fmt.Errorf("finding the admin endpoint: %w", err)
	}
	buffered.FlushTo(zap.NewNop())
	parsed, err := caddy.ParseNetworkAddress(address)
	if err != nil || parsed.PortRangeSize() > 1 {
		return cli.Endpoint{}, api.Invalid("%q is not the address of an admin endpoint", address)
	}
	endpoint := cli.Endpoint{Name: address, Network: parsed.Network}
	if parsed.IsUnixNetwork() || parsed.IsFdNetwork() {
		parsed.Host, _, _ = strings.Cut(parsed.Host, "|") // the socket's permissions
	} else {
		endpoint.Origin = "http://" + parsed.JoinHostPort(0)
	}
	endpoint.Address = parsed.JoinHostPort(0)
	return endpoint, nil
}

// isAdminOff reports whether a config has no admin endpoint.
func isAdminOff(config []byte) bool {
	var parsed struct {
		Admin caddy.AdminConfig `json:"admin"`
	}
	return json.Unmarshal(config, &parsed) == nil && parsed.Admin.Disabled
}

// explainOffline explains with a registry file and a policy instead of a running issuer.
func explainOffline(ctx context.Context, from cli.Offline, asked api.ExplainRequest) (*api.Explanation, error) {
	settings := &Issuer{
		URL: cmp.Or(from.Issuer, "http://localhost"), Audience: from.Audience,
		Policy: PolicySource{Paths: from.Policy, DefaultsOff: from.DefaultsOff},
	}
	if _, err := settings.checkSettings(); err != nil {
		return nil, api.Invalid("%s", err)
	}
	registry, err := file.Open(from.Registry)
	if err != nil {
		return nil, api.Invalid("reading the registry: %s", err)
	}
	engine, err := settings.Policy.load(nil, "", zap.NewNop())
	if err != nil {
		return nil, api.Invalid("loading the policy: %s", err)
	}
	server := issuer.New(issuer.Config{
		URL: settings.URL, Audience: settings.Audience, TokenTTL: time.Duration(settings.TokenTTL),
		Registry: registry, Policy: engine, Host: caddyHost{},
	})
	defer server.Close()
	told, err := admin.Explain(ctx, server, asked, nil)
	if err != nil {
		return nil, admin.ErrorOf(err)
	}
	return told, nil
}

func fetchKeys(ctx context.Context, issuer string, origins []string, kid string) (*token.KeySet, error) {
	at := remote.New(remote.ByDiscovery(issuer, origins), nil, zap.NewNop)
	defer func() { _ = at.Destruct() }()
	return at.KeySet(ctx, kid)
}

func startCaddyfile(path string) error {
	caddyfile, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(caddyfile, map[string]any{"filename": path})
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

func runningStore() (*store.Store, error) {
	app, err := caddy.ActiveContext().AppIfConfigured("m2m")
	if err != nil {
		return nil, err
	}
	issuer, err := app.(*App).onlyIssuer()
	if err != nil {
		return nil, err
	}
	return issuer.server.Store, nil
}
